"""The directive `losttick-commands`: every command with its options, on a page of the site."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from losttick_site.command_help import CommandHelp, all_commands
from losttick_site.command_nodes import entries, paragraph, usage
from losttick_site.manual import write_manual


class LosttickCommands(SphinxDirective):
    """A section for each command."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return [self._section(each) for each in all_commands()]

    def _section(self, command: CommandHelp) -> nodes.section:
        section = nodes.section("", nodes.title("", "", nodes.literal("", command.called)))
        section["ids"] = [command.page]
        section["names"] = [command.page]
        section += [paragraph(command.summary), usage(command)]
        section += [paragraph(each) for each in command.paragraphs]
        for title, listed in command.panels.items():
            section += [nodes.rubric("", title), entries(listed, command.page)]
        return section


def _write_manual(app: Sphinx, failed: Exception | None) -> None:
    if not failed and app.builder.format == "html":
        write_manual(app.outdir / "man" / "man1", app.srcdir / "docs")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("losttick-commands", LosttickCommands)
    app.connect("build-finished", _write_manual)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
