"""Messages for a person, and pieces of text with a style."""

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.results.printable import one_line, paragraph

#: GitHub's runner takes these for the beginning of a command, in whatever a step prints.
_WORKFLOW_COMMAND = re.compile(r"::(?=[a-zA-Z])|##(?=\[)")

#: How the second character of each is written in JSON and in XML, to mean the same.
_IN_JSON = {"::": r":\u003a", "##": r"#\u0023"}
_IN_XML = {"::": ":&#58;", "##": "#&#35;"}


@dataclass(frozen=True, slots=True)
class Styled:
    """A piece of text, and rich's name for its style, such as `bold red`."""

    text: str
    style: str = ""


def without_commands(text: str) -> str:
    """Return a text that is no command: a step of GitHub Actions prints `: :` and `# #`."""
    return _replaced(text, " ".join)


def json_without_commands(text: str) -> str:
    """Return the same JSON, in which a step of GitHub Actions prints no command."""
    return _replaced(text, _IN_JSON.__getitem__)


def xml_without_commands(text: str) -> str:
    """Return the same XML, in which a step of GitHub Actions prints no command."""
    return _replaced(text, _IN_XML.__getitem__)


def _replaced(text: str, harmless: Callable[[str], str]) -> str:
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return text
    return _WORKFLOW_COMMAND.sub(lambda found: harmless(found[0]), text)


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output; what JSON does not know as its text."""
    print(json_without_commands(json.dumps(value, indent=2, default=str)))


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
