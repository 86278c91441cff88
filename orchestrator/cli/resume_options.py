"""The options that `losttick run --resume` takes: none that would change the run."""

from pathlib import Path
from typing import Any

from orchestrator.errors import InputError


class ResumeOptionsError(InputError):
    """An option was given that a resumed run can't take."""


def refuse_with_resume(plan: str | None, out: Path | None, given: dict[str, Any]) -> None:
    """Refuse options that would change the run that is resumed.

    Raises:
        ResumeOptionsError: such an option was given.
    """

    def said(value: Any) -> bool:
        return any(map(said, value.values())) if isinstance(value, dict) else value is not None

    if plan or out or said(given):
        raise ResumeOptionsError(
            "resuming a run: it keeps the plan, seed and folder that it began with. With "
            "--resume DIR give no other options than --parallel, --qemu-user, "
            "--command-deadline, --state-deadline, --events, --report, --shared-out, --by-phase, "
            "--fail-on and --json."
        )
