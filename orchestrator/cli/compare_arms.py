"""The arms that `losttick compare --run` is asked to run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.clock import Deadlines
from orchestrator.errors import InputError
from orchestrator.lab.kernel.variants import Variant
from orchestrator.results.comparison.compare import MOST_LETTERS


class ArmsError(InputError):
    """The arms of a comparison can't be run."""


@dataclass(frozen=True, slots=True)
class LabArms:
    """The arms: every edit in every kernel."""

    kernels: Sequence[str]
    variants: Sequence[Variant]
    every: int

    @property
    def named(self) -> bool:
        """True if the comparison is one of the lab."""
        return bool(self.kernels or self.variants)


@dataclass(frozen=True, slots=True)
class ArmsWanted:
    """The options of `losttick compare --run`."""

    qemus: Sequence[str]
    """The QEMU of each arm; none for arms in the lab."""
    lab: LabArms
    plan: str | None
    given: Mapping[str, Any]
    """Settings that override the plan, nested like its file."""
    out: Path | None
    resume: Path | None
    parallel: int | None
    qemu_user: str | None
    deadlines: Deadlines
    shared_out: bool

    @property
    def options(self) -> bool:
        """True if an option was given that would change arms that are resumed."""
        return bool(self.qemus or self.lab.named or self.plan or self.out or self._said)

    @property
    def _said(self) -> bool:
        def said(value: Any) -> bool:
            return any(map(said, value.values())) if isinstance(value, dict) else value is not None

        return any(map(said, self.given.values()))


def check_arms(wanted: ArmsWanted) -> None:
    """Refuse arms that can't be run.

    Raises:
        ArmsError: there are too few or too many, or options that exclude each other.
    """
    if wanted.resume:
        if wanted.options:
            raise ArmsError(
                "resuming a comparison: its arms keep the plan, seed and folder that they began "
                "with. With --resume DIR give none of the options that choose them."
            )
        return
    if wanted.qemus and wanted.lab.named:
        raise ArmsError(
            "comparing arms: --qemu compares QEMUs on this host, and --kernel and --variant "
            "compare kernels in the lab. Give one kind."
        )
    if wanted.lab.named:
        if wanted.plan:
            raise ArmsError("comparing arms: --plan is for QEMUs on this host, not for the lab")
        return
    if not 2 <= len(wanted.qemus) <= MOST_LETTERS:
        raise ArmsError(
            f"comparing arms: there are {len(wanted.qemus)}. Give --qemu at least twice for QEMUs "
            "on this host, or --kernel or --variant at least twice for the lab"
        )
