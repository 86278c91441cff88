"""Reads a page of the HTML report as a program does."""

import re
from collections import Counter
from html.parser import HTMLParser

#: Elements that have no end.
VOID = {"meta", "link", "wbr"}

#: Elements that an SVG ends within the tag.
CLOSED = {"path", "line", "rect"}

#: All elements that a page may have.
KNOWN = {
    *VOID, *CLOSED, "html", "head", "title", "style", "body", "header", "main", "footer", "article",
    "section", "div", "p", "h1", "h2", "h3", "a", "span", "strong", "small", "code", "pre", "ol",
    "ul", "li", "i", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th", "td",
    "details", "summary", "figure", "figcaption", "svg", "desc", "g", "text", "defs", "clippath",
}  # fmt: skip


class Page(HTMLParser):
    """The elements and texts of a page. Reading fails where elements are not nested."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(content.decode())
        self.close()
        assert not self._open

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.texts.append(data)

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids[value or ""] += 1
            if name in ("href", "src", "xlink:href"):
                self.links.append(value or "")

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))

    def check(self) -> None:
        """Check what holds for every page, whatever the data say."""
        assert set(self.tags) <= KNOWN, set(self.tags) - KNOWN
        assert not any(name.startswith("on") for name in self.attributes)
        assert not [each for each, count in self.ids.items() if count > 1]
        for link in self.links:
            within = link.startswith("#") and link[1:] in self.ids
            assert within or link == "data:," or re.fullmatch(r"[\w./%-]+/", link), link
