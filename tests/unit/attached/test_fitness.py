"""What is refused before anything is touched: the monitor sees only questions."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.attached.errors import UnfitGuestError
from orchestrator.attached.fitness import Fit, require_fit
from orchestrator.attached.target import socket_target
from tests.support.scripted_monitor import SOUND, peer


def disk(file: Path, **inserted: object) -> dict[str, Any]:
    image = {"filename": str(file), "snapshots": [{"name": "theirs", "id": "1"}]}
    medium = {"ro": False, "drv": "qcow2", "file": str(file), "image": image, **inserted}
    return {"device": "system", "inserted": medium}


#: Answers of a QEMU that is fit, but for its disk.
FIT = SOUND | {
    "query-migrate": {},
    "query-memory-size-summary": {"base-memory": 80 << 20},
}


async def asked(place: Path, changed: dict[str, object]) -> Fit:
    answers = FIT | {"query-block": [disk(place / "system.qcow2")]} | changed
    (place / "system.qcow2").touch()
    commands = []

    def answer(command: str) -> object:
        commands.append(command)
        return answers[command]

    try:
        async with peer(place / "qmp", answer) as qmp, socket_target(qmp) as target:
            return await require_fit(target)
    finally:
        assert all(each.startswith("query-") for each in commands[1:]), commands


async def test_a_guest_that_is_fit(tmp_path: Path) -> None:
    found = await asked(tmp_path, {})
    assert [each.device for each in found.disks] == ["system"]
    assert found.snapshots == ["theirs"]


def version(major: int, minor: int) -> dict[str, object]:
    return {"query-version": {"qemu": {"major": major, "minor": minor, "micro": 0}, "package": ""}}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (version(2, 12), r"QEMU 2\.12\.0 is too old: before 4\.0 .* `losttick android`"),
        ({"query-status": {"status": "paused"}}, "does not run .*'paused'.* continue the guest"),
        ({"query-status": {"status": "io-error"}}, "does not run .*'io-error'"),
        ({"query-block": []}, "no writable disk.* start it with a qcow2 disk"),
        (
            {"query-migrate": {"blocked-reasons": ["VFIO migration is not supported"]}},
            "can't save its state: VFIO migration is not supported",
        ),
        (
            {"query-memory-size-summary": {"base-memory": 1 << 50}},
            r"the disk system lies where only [\d,]+ MiB are free.*1,073,741,888 MiB: make room",
        ),
    ],
    ids=["old", "paused", "io-error", "no disk", "a device of the host", "no room"],
)
async def test_each_refusal(tmp_path: Path, changed: dict[str, object], words: str) -> None:
    with pytest.raises(UnfitGuestError, match=words):
        await asked(tmp_path, changed)


async def test_a_disk_that_takes_no_snapshot(tmp_path: Path) -> None:
    drives = [disk(tmp_path / "a"), disk(tmp_path / "b", drv="raw"), disk(tmp_path / "c", ro=True)]
    drives[1]["device"], drives[2]["device"] = "scratch", "cd"
    with pytest.raises(UnfitGuestError, match=r"the writable disk scratch .* the format raw"):
        await asked(tmp_path, {"query-block": drives})
    drives[1]["inserted"]["ro"] = True
    assert [each.device for each in (await asked(tmp_path, {"query-block": drives})).disks] == [
        "system"
    ]


async def test_all_reasons_are_told_at_once(tmp_path: Path) -> None:
    changed = version(3, 1) | {"query-status": {"status": "paused"}, "query-block": []}
    with pytest.raises(UnfitGuestError, match=r"too old.*does not run.*no writable disk"):
        await asked(tmp_path, changed)
