"""Manual pages for man(1): losttick(1), and one for each command."""

import re
from collections.abc import Iterable
from pathlib import Path

from docutils import nodes
from docutils.core import publish_doctree, publish_from_doctree
from docutils.utils import new_document
from myst_parser.parsers.docutils_ import Parser

from losttick_site.command_help import NAME, CommandHelp, all_commands, root_options
from losttick_site.command_nodes import entries, paragraph, usage
from orchestrator.cli.commands import LOSTTICK
from orchestrator.version import __version__

#: Sections of the docs that losttick(1) has, too, and their pages.
SHARED = {
    "Exit codes": "results.md",
    "Environment": "commands.md",
    "Files": "commands.md",
    "Shell completion": "commands.md",
    "Helpers for Slurm's administrator": "fleet-slurm.md",
}


def write_manual(folder: Path, docs: Path) -> None:
    """Write the pages into a folder.

    Args:
        folder: where to write; made if it is not there.
        docs: the folder of the docs, some sections of which are in losttick(1), too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    commands = all_commands()
    _write(folder, NAME, LOSTTICK.help, _overview(commands, docs))
    for command in commands:
        _write(folder, command.page, command.summary, _of_command(command))


def _write(folder: Path, name: str, summary: str, sections: Iterable[nodes.section]) -> None:
    document = new_document(name)
    facts = {
        "manual_section": "1",
        "manual_group": "losttick",
        "version": f"losttick {__version__}",
    }
    document += nodes.title("", name)
    words = summary.removesuffix(".").replace("`", "")
    document += nodes.subtitle("", words[:1].lower() + words[1:])
    document += nodes.docinfo("", *(_field(*each) for each in facts.items()))
    document += list(sections)
    roff = publish_from_doctree(document, writer="manpage")
    (folder / f"{name}.1").write_bytes(roff)


def _field(name: str, value: str) -> nodes.field:
    body = nodes.field_body("", nodes.paragraph("", value))
    return nodes.field("", nodes.field_name("", name), body)


def _section(title: str, *content: nodes.Node) -> nodes.section:
    return nodes.section("", nodes.title("", title), *content)


def _of_command(command: CommandHelp) -> list[nodes.section]:
    text = (command.summary, *command.paragraphs)
    sections = [
        _section("Synopsis", usage(command)),
        _section("Description", *(paragraph(each) for each in text)),
    ]
    sections += [_section(title, entries(listed)) for title, listed in command.panels.items()]
    return [*sections, _section("See also", nodes.paragraph("", f"{NAME}(1)"))]


def _overview(commands: Iterable[CommandHelp], docs: Path) -> list[nodes.section]:
    """Return the sections of losttick(1)."""
    synopsis = f"{NAME} COMMAND [OPTIONS]"
    listed = nodes.definition_list(
        "",
        *(
            nodes.definition_list_item(
                "", nodes.term("", f"{each.page}(1)"), nodes.definition("", paragraph(each.summary))
            )
            for each in commands
        ),
    )
    return [
        _section("Synopsis", nodes.literal_block(synopsis, synopsis)),
        _section("Description", *_introduction(docs)),
        _section("Commands", listed),
        _section("Options", entries(root_options())),
        *(_shared(docs / page, title) for title, page in SHARED.items()),
    ]


def _introduction(docs: Path) -> list[nodes.Node]:
    """Return the first paragraph of the page on commands."""
    return _parsed((docs / "commands.md").read_text().split("\n\n")[1])


def _shared(page: Path, title: str) -> nodes.section:
    """Return a section of a page."""
    _, _, after = page.read_text().partition(f"\n## {title}\n")
    return _section(title, *_parsed(after.partition("\n## ")[0]))


def _parsed(text: str) -> list[nodes.Node]:
    """Parse Markdown. Links are left out but for their words, and tables become lists."""
    words = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)
    document = publish_doctree(words, parser=Parser())
    for table in list(document.findall(nodes.table)):
        body = next(table.findall(nodes.tbody))
        table.replace_self(nodes.definition_list("", *map(_item, body)))
    return list(document.children)


def _item(row: nodes.row) -> nodes.definition_list_item:
    """Return a row as a term, the first cell, and what it means, the others."""
    term, *meaning = row
    return nodes.definition_list_item(
        "",
        nodes.term("", "", *(child for each in term for child in each)),
        nodes.definition("", *(child for cell in meaning for child in cell)),
    )
