"""The times between ticks that a cell compares before and after loads, of each vCPU."""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from orchestrator.findings.save import VcpuSave
from orchestrator.journal.trial_record import TrialRecord, VcpuTrial

#: Times of a vCPU that are kept before and after loads. More would tell nothing new.
MOST = 2000


def _no_times() -> "defaultdict[int, array[float]]":
    return defaultdict(lambda: array("d"))


@dataclass(slots=True)
class GapSamples:
    """Times between ticks that came when they were due, in periods, by vCPU.

    The first times are kept, up to `MOST`.
    """

    before: "defaultdict[int, array[float]]" = field(default_factory=_no_times)
    """The times of guests that were not loaded yet."""
    after: "defaultdict[int, array[float]]" = field(default_factory=_no_times)
    """The times after loads."""

    def note_before(self, vcpus: Iterable[VcpuSave | TrialRecord | VcpuTrial]) -> None:
        """Keep the times of a guest that was not loaded yet."""
        _keep(self.before, vcpus)

    def note_after(self, trial: TrialRecord) -> None:
        """Keep the times after a load."""
        _keep(self.after, trial.vcpus if trial.others else (trial,))

    def wanted_before(self, vcpus: int) -> Set[int]:
        """Return the vCPUs of which further times before loads are kept, of so many vCPUs."""
        return _wanted(self.before, vcpus)

    def wanted_after(self, vcpus: int) -> Set[int]:
        """Return the vCPUs of which further times after loads are kept, of so many vCPUs."""
        return _wanted(self.after, vcpus)


def _keep(
    times: "defaultdict[int, array[float]]",
    vcpus: Iterable[VcpuSave | TrialRecord | VcpuTrial],
) -> None:
    for part in vcpus:
        if part.gaps:
            kept = times[part.vcpu]
            kept.extend(part.gaps[: MOST - len(kept)])


def _wanted(times: "defaultdict[int, array[float]]", vcpus: int) -> Set[int]:
    return {vcpu for vcpu in range(vcpus) if vcpu not in times or len(times[vcpu]) < MOST}
