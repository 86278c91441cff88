"""The pages of the docs, and their parts, as a reader of the files finds them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.places import DOCS, IMAGES, ROOT

#: Every page, of the repository as of the site.
PAGES = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")), *sorted(IMAGES.glob("*/README.md")))

#: A fenced block, after a comment that says why it is not run, or which test runs it.
_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>.+?) -->\n+)?```(?P<language>\S*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    mark: str
    """Why it is not run (`not run: …`) or which test runs it (`run by tests/…`); may be empty."""

    @property
    def name(self) -> str:
        """The page and the number of the block's first line, for the name of a test."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The commands: every line of a script; of a console, what was typed."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [line for line in lines if line.strip()] if self.language == "sh" else []


def blocks(*languages: str) -> list[Block]:
    """Return the blocks in some languages, in their order."""
    return [
        Block(
            page, found.string.count("\n", 0, found.start("text")), found["language"],
            found["text"], found["mark"] or "",
        )
        for page in PAGES
        for found in _BLOCK.finditer(page.read_text())
        if found["language"] in languages
    ]  # fmt: skip


def prose(page: Path) -> str:
    """Return a page without its blocks."""
    return _BLOCK.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(page)):
        text = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        number = 0
        while (anchor := f"{text}-{number}" if number else text) in found:
            number += 1
        found.add(anchor)
    return found


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file and the anchor of every link to a file; the anchor may be empty."""
    for target in _LINK.findall(prose(page)):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield ((page.parent / path).resolve() if path else page), anchor


def spans(page: Path) -> list[str]:
    """Return the program text in a page's sentences."""
    return [" ".join(each.split()) for each in _SPAN.findall(prose(page))]


def words(command: str) -> list[str]:
    """Split a command as a shell does, without a comment."""
    return shlex.split(command, comments=True)
