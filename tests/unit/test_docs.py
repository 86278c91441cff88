"""The docs as files: their links, their place in the navigation, and the commands they show."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

import orchestrator
import orchestrator.pytest_plugin
import orchestrator.testing
from orchestrator.cli.app import whole_app
from orchestrator.cli.commands import LOSTTICK, Group
from tests.support.command_here import losttick
from tests.support.docs import PAGES, Block, anchors, blocks, links, prose, spans, words
from tests.support.made_history import night
from tests.support.made_runs import losing, make_run, other
from tests.support.places import DOCS, ROOT


def test_links_lead_to_files_and_headings() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {path.name}#{anchor}"
        for page in PAGES
        for path, anchor in links(page)
        if not path.exists() or (anchor and anchor not in anchors(path))
    ]
    assert not broken


def test_every_page_is_in_the_navigation_once() -> None:
    listed = prose(ROOT / "README.md").partition("\n## Documentation\n")[2].partition("\n## ")[0]
    pages = re.findall(r"^- \[[^\]]+\]\(([^)]+\.md)\)", listed, re.MULTILINE)
    assert sorted(pages) == sorted(str(page.relative_to(ROOT)) for page in PAGES[1:]), (
        'README.md lists each page once under "Documentation"'
    )
    assert listed.count("\n### ") == 6


def test_every_public_name_has_its_place() -> None:
    page = (DOCS / "names.md").read_text()
    described = re.findall(r"^\.\. auto\w+:: (\w+)(?:\(\))?$", page, re.MULTILINE)
    homes = (orchestrator, orchestrator.pytest_plugin, orchestrator.testing)
    public = {name for home in homes for name in home.__all__} - {"__version__"}
    assert sorted(described) == sorted(public)


def test_an_example_that_is_not_run_as_it_stands_says_why() -> None:
    for block in blocks("python", "sh", "console", "toml"):
        assert not block.mark or re.match(r"not run: \S|run by tests/", block.mark), block.mark
        for path in re.findall(r"tests/[\w/]+\.py", block.mark):
            assert (ROOT / path).exists(), block.name


def test_every_block_has_a_language() -> None:
    """Else an example may be overlooked."""
    known = {"python", "sh", "console", "toml", "{eval-rst}", "{losttick-commands}"}
    assert {block.language for block in blocks(*known)} == known
    fences = sum(len(re.findall(r"^ *(```|~~~)", page.read_text(), re.MULTILINE)) for page in PAGES)
    assert fences == 2 * len(blocks(*known))


@cache
def every_command() -> Any:
    return typer.main.get_command(whole_app())


def command_of(called: list[str]) -> tuple[Any, list[str]]:
    """Return the command that words name, as Typer has it, and the words after its name."""
    found, entry = every_command(), LOSTTICK
    while hasattr(found, "commands") and called:
        name = called[0]
        if name.startswith("-"):
            if not entry.unnamed or name in ("-h", "--help"):
                break
            name, called = entry.unnamed, ["", *called]
        found, below, called = found.commands[name], entry.commands[name], called[1:]
        entry = below if isinstance(below, Group) else entry
    return found, called


def options_of(command: Any) -> set[str]:
    root = {"--version", "--help", "-h", "--install-completion", "--show-completion"}
    return root.union(*(each.opts + each.secondary_opts for each in command.params))


def shown_commands() -> Iterator[tuple[Path, str]]:
    for block in blocks("sh", "console"):
        yield from ((block.page, each) for each in block.commands)
    for page in PAGES:
        yield from ((page, span) for span in spans(page))


def unknown(text: str) -> bool:
    """Return whether a text calls losttick by a command or an option that is not there."""
    program, *called = words(text.replace("'", "").replace("sudo ", "")) or [""]
    if "--" in called:  # a command of losttick follows
        at = called.index("--")
        called, inner = called[:at], called[at + 1 :]
        return unknown(" ".join([program, *called])) or unknown(" ".join(["losttick", *inner]))
    if program.rpartition("/")[2] != "losttick":
        return False
    try:
        command, rest = command_of(called)
    except KeyError:
        return True
    return not {each.partition("=")[0] for each in rest if each[:2] == "--"} <= options_of(command)


def test_the_docs_call_commands_and_options_that_there_are() -> None:
    shown = [(page.name, text) for page, text in shown_commands()]
    assert not [each for each in shown if unknown(each[1])]
    assert unknown("sudo .venv/bin/losttick rnu")
    assert unknown("losttick lab run --load 3 --json")
    assert unknown("losttick bisect run -- lab run --load 3")


#: Commands whose examples run here: they need no QEMU.
QUICK = {"bundle", "compare", "explain", "history", "plan", "report", "show"}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the runs that the examples name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOSTTICK_HISTORY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for folder in ("nights", "losttick-out"):
        Path(folder).mkdir()
    make_run(Path("nights/1125"), losing(0), facts=other(kernel="6.6.1", microcode="0x1"))
    make_run(Path("nights/1126"), losing(0.05, seed=2), seed=2,
             facts=other(kernel="6.5.0", microcode="0x99"))  # fmt: skip
    night(Path("losttick-out"), 1, losing(0), facts=other(kernel="6.1.0"))
    assert losttick("history", "add", "losttick-out").returncode == 0
    assert losttick("history", "add", "nights", "--label", "nightly").returncode == 0


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    "block",
    [block for block in blocks("sh", "console") if not block.mark],
    ids=lambda block: block.name,
)
def test_an_example_of_the_command_line(block: Block) -> None:
    said = ""
    for line in block.commands:
        program, *args = words(line)
        if program != "losttick" or args[0] not in QUICK:
            pytest.fail(
                f"{block.name}: {line!r} is not run here. Put a comment above the example: "
                "<!-- run by tests/… --> or <!-- not run: … -->"
            )
        done = losttick(*args, columns=80)
        said += f"$ {line}\n{done.stdout}"
        # Without a command, `losttick plan` prints its help.
        assert done.returncode in ((2,) if args == ["plan"] else (0, 1, 5, 6)), done.stderr
    if block.language == "console":
        assert said == block.text
