"""The help of every command, read from the commands themselves."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer.main

from orchestrator.cli.app import whole_app
from orchestrator.cli.commands import LOSTTICK, Group
from orchestrator.cli.root import options

NAME = "losttick"


@dataclass(frozen=True, slots=True)
class Entry:
    """An option or an argument."""

    names: tuple[str, ...]
    """All its spellings; of an argument, what stands for its value."""
    value: str
    """What stands for an option's value; empty if it takes none."""
    help: str
    notes: str
    """Default, limits and such; may be empty."""


@dataclass(frozen=True, slots=True)
class CommandHelp:
    """A command as its `--help` describes it."""

    called: str
    """The words that call it, such as `losttick lab run`."""
    summary: str
    usage: str
    paragraphs: tuple[str, ...]
    """What follows the summary."""
    panels: dict[str, tuple[Entry, ...]]
    """Arguments and options under the headings that the help has."""

    @property
    def page(self) -> str:
        """The name of its manual page, such as `losttick-lab-run`."""
        return self.called.replace(" ", "-")


def all_commands() -> tuple[CommandHelp, ...]:
    """Return the help of every command, in the order of `losttick --help`."""
    return tuple(_commands(LOSTTICK, typer.main.get_command(whole_app()), (NAME,)))


def root_options() -> tuple[Entry, ...]:
    """Return the options of `losttick` itself."""
    return tuple(Entry((name,), "", words, "") for name, words in options(LOSTTICK).items())


def _commands(group: Group, parsed: Any, called: tuple[str, ...]) -> Iterator[CommandHelp]:
    for name, entry in group.commands.items():
        below = (*called, name)
        if isinstance(entry, Group):
            yield from _commands(entry, parsed.commands[name], below)
        else:
            yield _command_help(parsed.commands[name], " ".join(below))


def _command_help(command: Any, called: str) -> CommandHelp:
    """Describe a command; Typer's own classes have no public names that all its releases share."""
    context = command.make_context(called, [], resilient_parsing=True)
    summary, *paragraphs = (" ".join(each.split()) for each in command.help.split("\n\n"))
    panels: dict[str, list[Entry]] = {}
    usage = [called, "[OPTIONS]"]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        named, words = record
        panel: str = getattr(parameter, "rich_help_panel", None) or "Options"
        if parameter.param_type_name == "argument":
            panel = "Arguments"
            entry = _argument(parameter, words)
            usage.append(entry.names[0] if parameter.required else f"[{entry.names[0]}]")
        else:
            entry = _option(parameter, named, words, panel)
        panels.setdefault(panel, []).append(entry)
    ordered = sorted(panels, key=lambda title: title != "Arguments")
    return CommandHelp(
        called, summary, " ".join(usage), tuple(paragraphs),
        {title: tuple(panels[title]) for title in ordered},
    )  # fmt: skip


def _argument(parameter: Any, words: str) -> Entry:
    name = parameter.metavar or parameter.name.upper()
    if parameter.nargs == -1 and not name.endswith("..."):
        name += "..."
    help = parameter.help or ""
    return Entry((name,), "", help, _notes(words, help).removesuffix("required").rstrip("; "))


def _option(parameter: Any, named: str, words: str, panel: str) -> Entry:
    names = (*parameter.opts, *parameter.secondary_opts)
    value = ""
    if not parameter.is_flag and not parameter.count:
        value = _placeholder(parameter.metavar or named.split(" ", 1)[1])
    help = parameter.help or ""
    notes = [_notes(words, help)]
    if len(value) > _LONGEST and "|" in value:
        notes.insert(0, f"one of {value.replace('|', ', ')}")
        value = parameter.name.upper().replace("_", "-")
    if parameter.multiple and "more than once" not in help + panel:
        notes.append("may be given more than once")
    return Entry(names, value, help, "; ".join(filter(None, notes)))


#: Characters of the longest choice that stands beside its option; a manual page can't break it.
_LONGEST = 32

#: What releases of Typer print for a value of any text, number or path.
_TYPES = {
    "str": "TEXT", "text": "TEXT", "int": "N", "integer": "N", "int range": "N",
    "integer range": "N", "float": "X", "float range": "X", "path": "PATH",
}  # fmt: skip


def _placeholder(printed: str) -> str:
    """Return what stands for a value, without the brackets in which Typer prints types."""
    bare = re.sub(r"^<list\[(.*)\]>$|^<(.*)>$|^\[(.*)\]$", r"\1\2\3", printed)
    return _TYPES.get(bare.lower(), bare)


def _notes(words: str, help: str) -> str:
    """Return what the help has after the text of an option, without its brackets."""
    notes = words.removeprefix(help).strip().removeprefix("[").removesuffix("]")
    return re.sub(r"default: \((.*)\)", r"default: \1", notes)
