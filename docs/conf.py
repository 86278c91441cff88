"""Configuration of Sphinx, which makes the site from README.md and the pages in this folder.

The source folder is the whole clone, so that a link between two pages is the same on the site
and in the repository: `python -m sphinx --conf-dir docs . OUTPUT`. Nothing is fetched.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent

# The docs are those of this clone, whatever is installed.
sys.path[:0] = [str(HERE.parent), str(HERE)]

from orchestrator.version import __version__  # noqa: E402  (found by the line above)

project = "losttick"
version = release = __version__
language = "en"

root_doc = "README"
include_patterns = ["README.md", "docs/**.md", "images/*/README.md"]
exclude_patterns = [".*", "**/.*", "docs/_build"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "losttick_site.contents",
    "losttick_site.commands",
    "losttick_site.names",
]

# Headings have the same anchors as on GitHub.
myst_heading_anchors = 4

smartquotes = False
nitpicky = True
# Signatures name classes that have no public name, and classes of Python.
nitpick_ignore_regex = [
    ("py:.*", r"(asyncio|_asyncio|collections|concurrent|contextlib|os|pathlib)\..*"),
    ("py:.*", r"(tuple\[~)?orchestrator\.(?!(testing|pytest_plugin)\.[A-Z])[a-z_]+\..*"),
    ("py:class", r"tuple\[str|Ts"),
    ("py:exc", r"\w+Error"),
]
default_role = "code"  # docstrings have names between single backticks
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 80
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_display_short_literal_types = True

html_theme = "furo"
html_title = f"losttick {version}"
html_static_path = ["static"]
html_css_files = ["losttick.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
