"""Fills the template of the page."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from orchestrator.results.outputs.html.numbers import day_and_time
from orchestrator.results.outputs.html.palette import SIGNS
from orchestrator.results.outputs.html.view import Page
from orchestrator.results.printable import printable

_FOLDER = Path(__file__).parent / "templates"


def filled(page: Page) -> bytes:
    """Return the page as HTML."""
    return fill("report.html", page=page)


def fill(template: str, **values: Any) -> bytes:
    """Return a template with its values, as HTML."""
    return _environment().get_template(template).render(signs=SIGNS, **values).encode()


@cache
def _environment() -> Environment:
    """Return Jinja's environment.

    Every text is escaped: first the characters that no page should hold, such as terminal
    escapes and marks that reorder text, then those that HTML gives a meaning.
    """
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "breakable": _breakable, "day_and_time": day_and_time, "prose": _prose,
    }  # fmt: skip
    return environment


def _breakable(name: str) -> Markup:
    """Return a name that may be broken after its slashes."""
    return Markup("/<wbr>").join(printable(name).split("/"))


def _prose(text: str) -> Markup:
    """Return a text in which what stands between backquotes is code."""
    parts = printable(text).split("`")
    if len(parts) % 2 == 0:  # a backquote without its other one
        return escape(printable(text))
    code = Markup("<code>{}</code>")
    return Markup("").join(
        code.format(part) if number % 2 else part for number, part in enumerate(parts)
    )


def _shown(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
