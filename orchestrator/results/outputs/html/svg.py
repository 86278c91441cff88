"""A chart as inline SVG: small, safe, and coloured by the page's style sheet.

vl-convert writes a whole SVG document with colours, fonts and ids of its own. What is inlined
has only the elements and attributes that are named here, so that no text of a chart can become
anything but text.
"""

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

from orchestrator.results.outputs.html.palette import COLOURS

_SVG = "{http://www.w3.org/2000/svg}"

#: Elements that are kept, with their attributes.
_KEPT: Mapping[str, frozenset[str]] = {
    "g": frozenset({"transform", "clip-path"}),
    "path": frozenset({"transform", "d", "opacity", "stroke-width"}),
    "line": frozenset({"transform", "x1", "x2", "y1", "y2", "opacity", "stroke-width"}),
    "rect": frozenset({"transform", "x", "y", "width", "height", "opacity"}),
    "text": frozenset({"transform", "text-anchor"}),
    "defs": frozenset(),
    "clipPath": frozenset({"id"}),
}

#: Values that are the usual ones, or that the style sheet sets.
_USUAL = frozenset(
    {("opacity", "1"), ("transform", "translate(0,0)"), ("text-anchor", "start"),
     ("x1", "0"), ("y1", "0"), ("x2", "0"), ("y2", "0"), ("stroke-width", "1")}
)  # fmt: skip

#: The class on the page of each part of a chart.
_CLASSES = {
    "role-axis-grid": "grid", "role-axis-tick": "axis", "role-axis-domain": "axis",
    "role-axis-label": "label", "role-axis-title": "label",
}  # fmt: skip

_NAMES = {colour: name for name, colour in COLOURS.items()}
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")


def inline(document: str, prefix: str, title: str, description: str) -> str:
    """Return a chart for the page.

    Args:
        document: the SVG document.
        prefix: what the ids in the chart begin with. It differs between the charts of a page.
        title: the chart's name.
        description: the chart in a sentence, for a person who can't see it.
    """
    root = ElementTree.fromstring(document)
    ids: dict[str, str] = {}
    for each in root.iter():
        if "id" in each.attrib:
            ids[each.attrib["id"]] = f"{prefix}-{len(ids)}"
    width, height = (round(float(root.attrib[name])) for name in ("width", "height"))
    inside = "".join(part for child in root for part in _written(child, ids, ""))
    return (
        f'<svg role="img" aria-labelledby="{prefix}-t {prefix}-d" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<title id="{prefix}-t">{html.escape(title)}</title>'
        f'<desc id="{prefix}-d">{html.escape(description)}</desc>{inside}</svg>'
    )


def _written(
    element: "ElementTree.Element[Any]", ids: Mapping[str, str], part: str
) -> Iterator[str]:
    """Yield an element as text, without what can't be seen."""
    name = str(element.tag).removeprefix(_SVG)
    if name not in _KEPT or _invisible(name, element):
        return
    known = next((_CLASSES[c] for c in element.get("class", "").split() if c in _CLASSES), "")
    part = known or part
    attributes = [
        f'{key}="{html.escape(shown)}"'
        for key, value in element.attrib.items()
        if key in _KEPT[name] and (key, shown := _value(value, ids)) not in _USUAL
    ]
    if classes := " ".join(_classes(element, known, part)):
        attributes.append(f'class="{classes}"')
    inside = "".join(text for child in element for text in _written(child, ids, part))
    if name == "text":
        inside = html.escape(element.text or "")
    if name in ("g", "defs") and not inside:
        return
    if name == "g" and not attributes:
        yield inside
        return
    opened = " ".join([name, *attributes])
    yield f"<{opened}>{inside}</{name}>" if inside else f"<{opened}/>"


def _invisible(name: str, element: "ElementTree.Element[Any]") -> bool:
    return (
        element.get("opacity") == "0"
        or element.get("display") == "none"
        or (name == "path" and element.get("d", "") in ("", "M0,0h0v0h0Z"))
        or element.get("class", "") in ("background", "foreground")
    )


def _classes(element: "ElementTree.Element[Any]", known: str, part: str) -> Iterator[str]:
    """Yield the classes of an element: its part of the chart, and its colours by their names."""
    if known:
        yield known
    if part:
        return  # axes have the colours of the page's text
    for kind in ("fill", "stroke"):
        name = _NAMES.get(element.get(kind, ""))
        if name:
            yield f"{kind[0]}-{name}"


def _value(value: str, ids: Mapping[str, str]) -> str:
    """Return an attribute with shorter numbers and the page's ids."""
    if (own := ids.get(value)) is not None:
        return own
    value = _REFERENCE.sub(lambda found: f"url(#{ids.get(found[1], '')})", value)
    return _NUMBER.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), value)
