"""The options of `losttick run` about an earlier run: none may change it."""

from pathlib import Path
from typing import Any

from orchestrator.errors import InputError


class ResumeOptionsError(InputError):
    """An option was given that a resumed run can't take."""


def refuse_with_resume(
    plan: str | None, out: Path | None, given: dict[str, Any], *, or_start: bool = False
) -> None:
    """Refuse options that would change the run that is resumed.

    Raises:
        ResumeOptionsError: such an option was given.
    """

    def said(value: Any) -> bool:
        return any(map(said, value.values())) if isinstance(value, dict) else value is not None

    if plan or out or or_start or said(given):
        raise ResumeOptionsError(
            "resuming a run: it keeps the plan, seed and folder that it began with. With "
            "--resume DIR give no other options than --parallel, --qemu-user, "
            "--command-deadline, --state-deadline, --events, --report, --shared-out, --by-phase, "
            "--expect-kernel, --exclusive, --fail-on and --json."
        )


def refuse_nameless(out: Path | None, *, resume_or_start: bool) -> None:
    """Refuse to continue a run that nobody names.

    Raises:
        ResumeOptionsError: --resume-or-start is given without --out.
    """
    if resume_or_start and out is None:
        raise ResumeOptionsError(
            "running: --resume-or-start needs --out DIR, the folder of the run that it continues "
            "or starts"
        )
