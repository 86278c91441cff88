"""The lines that a guest prints beside its ticks after a load."""

from collections.abc import Iterable

from orchestrator.findings.save import VcpuSave
from orchestrator.guest.lines import Line, Ready, Testimony
from orchestrator.trial.resume import Resumed
from orchestrator.vm.instance import Instance


class Asides:
    """Notes what one vCPU says beside its ticks, and what follows for the load."""

    def __init__(self, instance: Instance, save: VcpuSave, resumed: Resumed) -> None:
        self._instance = instance
        self._save = save
        self._resumed = resumed
        self.nmis = 0
        """NMIs that the guest has taken since the load although nobody sent one."""
        self.begins = False
        """Whether the guest said that it begins since its last tick, perhaps before the load."""
        self.began_anew = False
        """Whether the guest said so after the load, for certain."""

    def note(self, lines: Iterable[Line], last: int, *, ticked: bool) -> None:
        """Note lines in their order.

        Args:
            lines: what the vCPU said.
            last: the number of the tick before them.
            ticked: whether a tick was heard before them. After a load into a running guest,
                earlier lines may be from before the load.
        """
        for line in lines:
            if isinstance(line, Testimony) and self._is_new(line, ticked=ticked):
                # A line that counts other ticks is no answer of this guest's.
                self.nmis += line.ticks in (last, last + 1) and self._unasked(line)
            elif isinstance(line, Ready):
                self.begins = True
                self.began_anew |= ticked or not self._resumed.lines_may_be_stale

    def note_tick(self) -> None:
        """Note a tick with the number that was due: a guest that began before has been loaded."""
        self.begins = False

    def _is_new(self, line: Testimony, *, ticked: bool) -> bool:
        """Return whether a testimony is from after the load.

        A guest that was loaded while it ran had ticked beyond its save before.
        """
        return ticked or not self._resumed.lines_may_be_stale or line.ticks == self._save.ticks

    def _unasked(self, line: Testimony) -> bool:
        """Return whether nothing but a wrong NMI can have made the guest testify.

        The answer to an NMI of losttick's may come late. A kernel has NMIs of its own, such as
        those of its watchdog, and a guest may testify without an NMI.
        """
        questions = self._instance.config.program.questions
        return (
            not self._instance.nmis
            and line.kernel is None
            and bool(questions)
            and all(each.nmi for each in questions)
        )


def said(nmis: int) -> str:
    """Return in words that a guest took NMIs; empty if it took none."""
    return f"it took {nmis} NMI(s) that nobody had sent" if nmis else ""
