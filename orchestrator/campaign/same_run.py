"""Check that a run that was cut short is the one that somebody asks for now."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.campaign.resume import ResumeError
from orchestrator.host.expected_kernel import OtherKernelError
from orchestrator.journal.begun import has_begun
from orchestrator.journal.file import JOURNAL
from orchestrator.journal.fold import RunState
from orchestrator.plan.plan import Plan

#: Most settings that an error names.
_MOST = 5


def holds_run(folder: Path) -> bool:
    """Return whether a folder has a run that can be resumed, or something that stands in its way.

    Raises:
        OSError: that can't be read.
        JournalFormatError: the journal is not a file.
    """
    try:
        return has_begun(folder / JOURNAL)
    except (FileNotFoundError, NotADirectoryError):
        return False


def check_plan_of(state: RunState, plan: Plan, folder: Path) -> None:
    """Check that a run has the plan that is asked for. A seed counts only where it is asked for.

    Raises:
        ResumeError: it has another plan.
    """
    had, asked = (each.model_dump(mode="json", exclude={"seed"}) for each in (state.plan, plan))
    differ = list(_differing(had, asked))
    if plan.seed not in (None, state.seed):
        differ.insert(0, "seed")
    if differ:
        named = ", ".join(differ[:_MOST]) + (" and more" if len(differ) > _MOST else "")
        raise ResumeError(
            f"resuming the run in {folder}: it began with another plan than is asked for now; they "
            f"differ in {named}. Ask for the plan that it began with, or name a new folder with "
            "--out."
        )


def _differing(had: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of settings that differ, such as `limits.trials`."""
    for name in asked.keys() | had.keys():
        one, other = had.get(name), asked.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from (f"{name}.{below}" for below in _differing(one, other))
        elif one != other:
            yield name


def check_kernel_of(state: RunState, expected: str | None, folder: Path) -> None:
    """Check that nothing of a run was counted on another kernel than expected.

    Args:
        state: the run.
        expected: what `uname -r` printed there; None if any kernel will do.
        folder: of the run.

    Raises:
        OtherKernelError: something was.
    """
    ran = {state.facts.kernel} | {each.facts.kernel for each in state.cells.values() if each.facts}
    others = sorted(ran - {expected})
    if expected is not None and others:
        raise OtherKernelError(
            f"resuming the run in {folder}: it ran on the kernel {others[0]}, and --expect-kernel "
            f"asks for {expected}. Nothing was run: its counts are those of another kernel. Name a "
            "new folder with --out."
        )
