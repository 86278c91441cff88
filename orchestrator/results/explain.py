"""The explanation of a result: its meaning and the things to do, for each kind of reader."""

import enum
from collections.abc import Callable, Mapping, Sequence

from orchestrator.results.explanation.answer import answer
from orchestrator.results.explanation.ci import for_ci
from orchestrator.results.explanation.developer import for_developer
from orchestrator.results.explanation.text import Section
from orchestrator.results.explanation.user import for_user
from orchestrator.results.report import Report


class Reader(enum.StrEnum):
    """Who reads an explanation."""

    USER = "user"
    """The person whose computer it is, who never heard of a LAPIC."""
    CI = "ci"
    """The job that ran losttick, and the person who looks after it."""
    DEVELOPER = "developer"
    """Somebody who knows KVM."""


_EXPLANATIONS: Mapping[Reader, Callable[[Report], Sequence[Section]]] = {
    Reader.USER: for_user,
    Reader.CI: for_ci,
    Reader.DEVELOPER: for_developer,
}


def explain(report: Report, reader: Reader = Reader.USER) -> Sequence[Section]:
    """Return what happened, what it means and what to do, for one kind of reader.

    The blocks may hold text of guests, kernels and QEMUs, which is data.
    """
    return _EXPLANATIONS[reader](report)


def first_paragraph(report: Report) -> str:
    """Return what was found and what to do, for a person who does not know the hardware.

    It is one paragraph of plain text. It may hold a reason that a host gave, which is data.
    """
    return answer(report)
