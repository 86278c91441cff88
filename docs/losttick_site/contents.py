"""The site's navigation: the lists of pages under "Documentation" in README.md.

README.md is the one place that lists the pages, for readers of the repository and of the site.
Each group (a heading of the third level) becomes a part of the navigation, in its order.
"""

import re
import shutil

from sphinx.application import Sphinx

_GROUP = re.compile(r"^### (.+)\n((?:(?!#).*\n)*)", re.MULTILINE)
_PAGE = re.compile(r"^- \[([^\]]+)\]\(([^)#]+)\.md\)", re.MULTILINE)


def groups(readme: str) -> dict[str, dict[str, str]]:
    """Return the groups of pages that README.md lists: the title of each page by its name.

    A name is the path of a page in the clone without its suffix, as Sphinx calls its pages.
    """
    part = readme.partition("\n## Documentation\n")[2].partition("\n## ")[0] + "\n"
    return {
        heading: {page: title for title, page in _PAGE.findall(lines)}
        for heading, lines in _GROUP.findall(part)
    }


def _navigation(pages: dict[str, dict[str, str]]) -> str:
    """Return the groups as directives, which are not shown on the page itself."""
    lines = []
    for heading, listed in pages.items():
        lines += ["", "```{toctree}", ":hidden:", f":caption: {heading}", ""]
        lines += [f"{title} <{page}>" for page, title in listed.items()]
        lines += ["```", ""]
    return "\n".join(lines)


def _add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    if page == app.config.root_doc:
        source[0] += _navigation(groups(source[0]))


def _add_index(app: Sphinx, failed: Exception | None) -> None:
    """Give the first page the name under which browsers and servers look for it, too."""
    if not failed and app.builder.format == "html":
        first = app.outdir / f"{app.config.root_doc}.html"
        shutil.copyfile(first, first.with_name("index.html"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _add_navigation)
    app.connect("build-finished", _add_index)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
