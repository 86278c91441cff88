"""Where a campaign puts what it sees: the journal, and a folder for each hang."""

import json
from pathlib import Path
from typing import BinaryIO

from orchestrator.errors import InfraError
from orchestrator.findings.outcome import TrialResult
from orchestrator.findings.save import Save
from orchestrator.journal.file import Journal
from orchestrator.journal.plain import plain
from orchestrator.plan.cell import Cell
from orchestrator.trial.examine import Hang
from orchestrator.vm.instance import Instance


class Records:
    """The output folder of one run."""

    def __init__(self, out: Path, journal: Journal, instances: int = 0, hangs: int = 0) -> None:
        """Take over a folder.

        Args:
            out: the folder.
            journal: the journal in it.
            instances: that were started before, by a run that this one resumes.
            hangs: whose evidence it has kept.
        """
        self.out = out
        self.journal = journal
        self._instances = instances
        self._hangs = hangs

    def next_console(self) -> tuple[int, BinaryIO]:
        """Return the next instance's number, and the file for its console.

        Raises:
            InfraError: it can't be created.
        """
        self._instances += 1
        path = self.out / "console" / f"instance-{self._instances:04d}.log"
        try:
            path.parent.mkdir(exist_ok=True)
            return self._instances, path.open("wb")
        except OSError as error:
            raise self._cannot_write(path, error) from error

    def instance(self, cell: Cell, arm: str, number: int, instance: Instance) -> None:
        """Note an instance that has started."""
        self.journal.write(
            "instance",
            cell=cell.id,
            arm=arm,
            number=number,
            argv=instance.facts.argv,
            vcpu_threads=instance.facts.vcpu_threads,
            pinned_cpus=instance.facts.pinned_cpus,
        )

    def loader(self, cell: Cell, instance: Instance) -> None:
        """Note the first QEMU that was started to load: the cell's others have its arguments."""
        self.journal.write("loader", cell=cell.id, argv=instance.facts.argv)

    def save(self, cell: Cell, arm: str, save: Save) -> None:
        """Note a save, or an attempt at one that was not eligible."""
        self.journal.write("save", cell=cell.id, arm=arm, eligible=save.eligible,
                           **_flat(save))  # fmt: skip

    def trial(
        self,
        cell: Cell,
        arm: str,
        number: int,
        attempt: int,
        save: Save,
        result: TrialResult,
        hang: Hang | None,
    ) -> None:
        """Note an attempt at a trial; one that did not plainly tick gets a folder."""
        fields: dict[str, object] = {}
        if hang is not None:
            kept = self._keep(cell, arm, save, result, hang)
            fields = {"diagnosis": hang.diagnosis_of(result.telling), "evidence": kept}
            if len(hang.diagnoses) > 1:
                fields["diagnoses"] = hang.diagnoses
        self.journal.write(
            "trial",
            cell=cell.id,
            arm=arm,
            number=number,
            attempt=attempt,
            save=save.tag,
            **plain(result.told),
            stale_bytes=result.stale_bytes,
            duration_ns=result.duration_ns,
            vcpus=result.vcpus if len(result.vcpus) > 1 else (),
            **fields,
        )

    def _keep(self, cell: Cell, arm: str, save: Save, result: TrialResult, hang: Hang) -> str:
        """Write a hang's evidence into a folder of its own; return its name."""
        self._hangs += 1
        name = f"evidence/{self._hangs:04d}-{arm}-{result.outcome}"
        folder = self.out / name
        try:
            folder.mkdir(parents=True)
            seen = {
                "cell": cell.id, "diagnosis": hang.diagnosis_of(result.telling), "trial": result,
                "save": save, "evidence": hang.evidence,
            }  # fmt: skip
            (folder / "evidence.json").write_text(json.dumps(plain(seen), indent=2) + "\n")
            if hang.diagnoses:
                said = (f"{each.cause}\n\n{each.sentence}\n" for each in hang.diagnoses)
                (folder / "diagnosis.txt").write_text("\n".join(said))
            (folder / "console.txt").write_text(hang.evidence.console_tail)
            if hang.evidence.trace:
                (folder / "trace.txt").write_text(hang.evidence.trace)
        except OSError as error:
            raise self._cannot_write(folder, error) from error
        return name

    @staticmethod
    def _cannot_write(path: Path, error: OSError) -> InfraError:
        return InfraError(
            f"writing to {path}: {error.strerror}. The journal so far is good. "
            "Make room, or choose another place with --out DIR."
        )


def _flat(save: Save) -> dict[str, object]:
    """Return a save as its record has it: the fields of the first vCPU beside the machine's."""
    first, *others = save.vcpus
    whole = {"tag": save.tag, "intended_phase": save.intended_phase, **plain(first)}
    whole |= {"generation": save.generation, "stopped_periods": save.stopped_periods}
    return whole | {"ineligible": save.ineligible, "others": plain(others)}
