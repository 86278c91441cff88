"""Public names in the docs, and their docstrings.

`orchestrator` exports names from many modules. A signature names a class by its module, such as
`orchestrator.verdict.run.RunResult`; its link leads to `orchestrator.RunResult`.
"""

from functools import cache

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import GoogleDocstring

import orchestrator
import orchestrator.pytest_plugin
import orchestrator.testing


@cache
def _public() -> dict[str, str]:
    """Return the public name of each class and function by the name where it is written."""
    return {
        f"{thing.__module__}.{thing.__qualname__}": f"{home.__name__}.{name}"
        for home in (orchestrator, orchestrator.pytest_plugin, orchestrator.testing)
        for name in home.__all__
        if hasattr(thing := getattr(home, name), "__qualname__")
    }


def _find(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.reference | None:
    name = _public().get(node.get("reftarget", ""))
    if node.get("refdomain") != "py" or name is None:
        return None
    python = env.domains.python_domain
    return python.resolve_xref(env, node.get("refdoc", ""), app.builder, "obj", name, node, content)


def _read(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Read Google's sections of a docstring.

    The extension `napoleon` would take words before a colon in an attribute's text for its type.
    """
    if what not in ("attribute", "data", "property"):
        lines[:] = GoogleDocstring(lines).lines()


def _draw_dashes(app: Sphinx, page: nodes.document, name: str) -> None:
    """Put a dash between a parameter and its description, where Sphinx writes two hyphens."""
    for text in list(page.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("missing-reference", _find)
    app.connect("autodoc-process-docstring", _read)
    app.connect("doctree-resolved", _draw_dashes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
