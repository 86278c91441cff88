"""Prints the answer of a bisection, and ends with its exit code."""

from orchestrator.bisect.answer import Answer
from orchestrator.bisect.steps import Ending
from orchestrator.bisect.words import headline, sentences
from orchestrator.cli.exits import ExitCode
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import duration


def print_answer(screen: Screen, found: Answer) -> None:
    """Print an answer with its evidence."""
    style = "bold green" if found.ending is Ending.FOUND else "bold yellow"
    screen.prose(headline(found), style=style)
    for each in sentences(found):
        screen.prose(each)
    screen.prose(
        f"{found.loads} loads in {found.boots} boots, {duration(found.seconds)}; "
        f"{found.candidates} candidates."
    )


def answer_exit(found: Answer) -> ExitCode:
    """Return the exit code of an answer: 0 only if the first one was found."""
    match found.ending:
        case Ending.FOUND:
            return ExitCode.CLEAN
        case Ending.UNTESTABLE_END:
            return ExitCode.UNFIT
        case _:
            return ExitCode.INCONCLUSIVE
