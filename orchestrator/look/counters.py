"""KVM's counters of each vCPU: by QEMU's `query-stats`, or by debugfs for root."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from orchestrator.look.readings import Counters
from orchestrator.qmp.commands import Commands
from orchestrator.qmp.errors import AnswerError, CommandFailedError

#: The kernel's name of each counter; KVM's back ends differ in the others.
_NAMES = {
    "exits": "exits",
    "irq_exits": "irq_exits",
    "signal_exits": "signal_exits",
    "irq_injections": "irq_injections",
    "halt_wakeups": "halt_wakeup",
    "yields": "directed_yield_attempted",
}

#: Without these, counters tell nothing.
_NEEDED = ("exits", "irq_exits", "halt_wakeup")

DEBUGFS = Path("/sys/kernel/debug/kvm")


@dataclass(frozen=True, slots=True)
class Stat:
    """A counter in an answer to `query-stats`."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class StatsResult:
    """An entry of `query-stats`: the counters of one vCPU."""

    provider: str
    stats: list[Stat]
    qom_path: Annotated[str | None, Field(alias="qom-path")] = None


async def read_counters(monitor: Commands, qom_paths: Sequence[str]) -> Sequence[Counters | None]:
    """Return the counters of each vCPU; None for those that QEMU does not count.

    QEMU has `query-stats` since 7.1, and no counters under TCG. The command makes each vCPU leave
    the guest once, and changes no register.

    Args:
        monitor: QEMU's monitor.
        qom_paths: the vCPUs, in their order.

    Raises:
        MonitorError: QEMU did not answer.
    """
    asked: dict[str, object] = {"target": "vcpu", "providers": [{"provider": "kvm"}]}
    try:
        answer = await monitor.ask("query-stats", list[StatsResult], asked)
    except (CommandFailedError, AnswerError):
        return [None] * len(qom_paths)
    found = {
        each.qom_path: _counters({stat.name: stat.value for stat in each.stats})
        for each in answer
        if each.provider == "kvm"
    }
    return [found.get(path) for path in qom_paths]


def _counters(values: Mapping[str, object]) -> Counters | None:
    numbers = {
        name: value
        for name, value in values.items()
        if isinstance(value, int) and not isinstance(value, bool)
    }
    if any(name not in numbers for name in _NEEDED):
        return None
    return Counters(**{ours: numbers.get(theirs, 0) for ours, theirs in _NAMES.items()})


def read_debugfs(pid: int, place: Path = DEBUGFS) -> Counters | None:
    """Return the counters of all vCPUs of a process together; None if nobody can read them.

    Only root can, and only where debugfs is mounted.
    """
    try:
        folders = sorted(place.glob(f"{pid}-*"))
    except OSError:
        return None
    found = [counters for folder in folders if (counters := _counters(_files(folder)))]
    return _sum(found) if found else None


def _files(folder: Path) -> Mapping[str, object]:
    found = {}
    for name in _NAMES.values():
        try:
            text = (folder / name).read_text(errors="replace").strip()
        except (OSError, ValueError):
            continue
        if text.isdecimal():
            found[name] = int(text)
    return found


def _sum(found: Iterable[Counters]) -> Counters:
    total = dict.fromkeys(_NAMES, 0)
    for each in found:
        for name in total:
            total[name] += getattr(each, name)
    return Counters(**total)


def shared(total: Counters | None, vcpus: int) -> Counters | None:
    """Return the counters of each vCPU, from those of all of them together.

    None if several vCPUs share a count that is not 0: nobody knows which of them it is.
    """
    if total is None or vcpus == 1:
        return total
    quiet = not (total.halt_wakeups or total.irq_injections or total.own_exits)
    return total if quiet else None
