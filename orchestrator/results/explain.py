"""What a result means, and what to do about it, in words for each kind of reader."""

from orchestrator.results.explanation.answer import answer
from orchestrator.results.report import Report


def first_paragraph(report: Report) -> str:
    """Return what was found and what to do, for a person who does not know the hardware.

    It is one paragraph of plain text. It may hold a reason that a host gave, which is data.
    """
    return answer(report)
