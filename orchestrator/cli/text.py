"""Messages for a person, and pieces of text with a style."""

import os
import re
import sys
from dataclasses import dataclass

from orchestrator.results.printable import one_line, paragraph

#: GitHub's runner takes these for the beginning of a command, in whatever a step prints.
_WORKFLOW_COMMAND = re.compile(r"::(?=[a-zA-Z])|##(?=\[)")


@dataclass(frozen=True, slots=True)
class Styled:
    """A piece of text, and rich's name for its style, such as `bold red`."""

    text: str
    style: str = ""


def without_commands(text: str) -> str:
    """Return a text that is no command: a step of GitHub Actions prints `: :` and `# #`."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return text
    return _WORKFLOW_COMMAND.sub(lambda found: " ".join(found[0]), text)


def say(text: str) -> None:
    """Print a line on standard error."""
    print(without_commands(one_line(text)), file=sys.stderr, flush=True)


def say_error(message: str) -> None:
    """Print an error on standard error."""
    print(without_commands(paragraph(f"losttick: {message}")), file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Return a span of time in the largest unit of which it has at least two."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
