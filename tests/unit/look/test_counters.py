"""KVM's counters, as QEMU and debugfs give them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.clock import Deadlines, LocalClock
from orchestrator.look.counters import read_counters, read_debugfs, shared
from orchestrator.look.readings import Counters
from orchestrator.qmp.commands import Commands
from orchestrator.qmp.errors import CommandFailedError

NAMES = ("exits", "irq_exits", "signal_exits", "irq_injections", "halt_wakeup",
         "directed_yield_attempted")  # fmt: skip


class Answers(Commands):
    """A monitor with one answer."""

    def __init__(self, answer: object) -> None:
        self.clock, self.deadlines, self.answer = LocalClock(), Deadlines(), answer

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, object] | None = None,
        *,
        deadline_ns: int | None = None,
    ) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def close(self) -> None:
        pass


def entry(path: str, **values: object) -> dict[str, object]:
    stats = [{"name": name, "value": value} for name, value in values.items()]
    return {"provider": "kvm", "qom-path": path, "stats": stats}


async def test_each_vcpu_by_its_path() -> None:
    both = [entry("/b", **dict.fromkeys(NAMES, 7)), entry("/a", **dict.fromkeys(NAMES, 3))]
    both[0]["stats"].append({"name": "halt_wait_hist", "value": [1, 2]})  # type: ignore[attr-defined]
    first, second, third = await read_counters(Answers(both), ["/a", "/b", "/c"])
    assert first == Counters(3, 3, 3, 3, 3, 3)
    assert second and second.since(first) == Counters(4, 4, 4, 4, 4, 4)
    assert third is None


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        [entry("/a", exits=1)],
        [entry("/a", **dict.fromkeys(NAMES, "many"))],
        [entry("/a", **dict.fromkeys(NAMES, True))],
        CommandFailedError("query-stats", "no such command", error_class="CommandNotFound"),
    ],
)
async def test_a_qemu_that_does_not_count(answer: object) -> None:
    assert await read_counters(Answers(answer), ["/a"]) == [None]


def test_debugfs_counts_all_vcpus_together(tmp_path: Path) -> None:
    folder = tmp_path / "77-12"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text("5\n")
    (tmp_path / "770-3").mkdir()
    total = read_debugfs(77, tmp_path)
    assert total == Counters(5, 5, 5, 5, 5, 5)
    assert read_debugfs(770, tmp_path) is None
    assert read_debugfs(1, tmp_path / "nowhere") is None
    assert shared(total, 1) == total
    assert shared(total, 2) is None, "nobody knows whose they are"
    quiet = Counters(5, 5, 5, 0, 0, 0)
    assert shared(quiet, 2) == quiet
    assert shared(None, 1) is None
