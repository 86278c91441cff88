"""The help of a command as docutils' nodes: for the site and for the manual pages.

The texts become nodes and never markup, so that no character in them needs an escape.
"""

import re
from collections.abc import Iterable

from docutils import nodes

from losttick_site.command_help import CommandHelp, Entry

#: Program text in the help: between backticks, or an option.
_CODE = re.compile(r"`([^`]+)`|(?<![\w-])(--[a-z][a-z-]*)")


def paragraph(text: str) -> nodes.paragraph:
    """Return a text of the help as a paragraph."""
    return nodes.paragraph("", "", *_inline(text))


def usage(command: CommandHelp) -> nodes.literal_block:
    """Return the line that shows how a command is called."""
    return nodes.literal_block(command.usage, command.usage, language="none")


def entries(listed: Iterable[Entry], anchor: str = "") -> nodes.option_list:
    """Return options or arguments as a list.

    Args:
        listed: the options or arguments.
        anchor: what each anchor begins with; empty for a list without anchors.
    """
    return nodes.option_list("", *(_entry(each, anchor) for each in listed))


def _entry(entry: Entry, anchor: str) -> nodes.option_list_item:
    group = nodes.option_group()
    if anchor:
        group["ids"] = [f"{anchor}-{re.sub(r'[^a-z0-9]+', '-', entry.names[0].lower()).strip('-')}"]
    for name in entry.names:
        option = nodes.option("", nodes.option_string("", name))
        if entry.value:
            option += nodes.option_argument("", entry.value, delimiter=" ")
        group += option
    description = nodes.description("", paragraph(entry.help))
    if entry.notes:
        description[0] += [nodes.Text(" ("), *_inline(entry.notes), nodes.Text(")")]
    return nodes.option_list_item("", group, description)


def _inline(text: str) -> list[nodes.Node]:
    found: list[nodes.Node] = []
    end = 0
    for match in _CODE.finditer(text):
        code = match[1] or match[2]
        found += [nodes.Text(text[end : match.start()]), nodes.literal(code, code)]
        end = match.end()
    return [*found, nodes.Text(text[end:])]
