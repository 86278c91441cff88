"""The table of commands: complete, true, and quick to read."""

import ast
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from orchestrator.cli.commands import LOSTTICK, Command, Group
from orchestrator.plan.names import plan_description, shipped_plans
from tests.support.command_here import losttick as here
from tests.support.prepared_process import PreparedProcess

CLI = Path(__file__).parents[3] / "orchestrator" / "cli"

#: Packages that `--help` must not wait for.
SLOW = {"asyncio", "pexpect", "pydantic", "qemu", "rich", "scipy", "typer"}


def commands(group: Group, called: tuple[str, ...] = ()) -> Iterator[tuple[str, Command]]:
    """Yield the words that call each command, and the command."""
    for name, entry in group.commands.items():
        if isinstance(entry, Group):
            yield from commands(entry, (*called, name))
        else:
            yield " ".join((*called, name)), entry


ALL = dict(commands(LOSTTICK))


def losttick(*args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *args], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("called", ALL)
def test_help_is_the_first_line_of_the_docstring(called: str) -> None:
    module, _, name = ALL[called].function.partition(":")
    docstring = inspect.getdoc(getattr(import_module(module), name))
    assert docstring is not None
    assert docstring.splitlines()[0] == ALL[called].help
    assert len(ALL[called].help) <= 66


@pytest.mark.parametrize(
    "args", [("--help",), ("-h",), (), ("--version",), ("lab", "--help"), ("plan",), ("rnu",)]
)
def test_the_root_imports_nothing_slow(args: tuple[str, ...]) -> None:
    program = (
        "import sys\n"
        "from orchestrator.cli import main\n"
        f"sys.argv = ['losttick', *{args!r}]\n"
        "try:\n    main()\n"
        "finally:\n    print(*sys.modules, sep='\\n', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    loaded = {name.split(".")[0] for name in done.stderr.splitlines()}
    assert "orchestrator" in loaded
    assert loaded & SLOW == set()
    ours = {name for name in done.stderr.splitlines() if name.startswith("orchestrator.cli.")}
    own = {"commands", "interrupts", "root", "streams", "text"}
    assert ours == {f"orchestrator.cli.{name}" for name in own}


def test_help_lists_every_command_in_80_columns() -> None:
    for group in ((), ("lab",), ("plan",), ("fleet",)):
        done = losttick(*group, "--help")
        assert done.returncode == 0
        assert max(map(len, done.stdout.splitlines())) <= 80
        for called, command in ALL.items():
            if called.split()[:-1] == list(group):
                assert command.help in done.stdout


@pytest.fixture(scope="module")
def prepared() -> Iterator[PreparedProcess]:
    with PreparedProcess() as parent:
        yield parent


@pytest.mark.parametrize("called", ALL)
def test_each_command_has_its_own_help(called: str) -> None:
    done = here(*called.split(), "-h", columns=100)
    assert done.returncode == 0
    assert f"Usage: losttick {called} " in done.stdout
    assert ALL[called].help in done.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("rnu",), "no command 'rnu'. Did you mean `losttick run`?"),
        (("lab", "prob"), "no command 'prob'. Did you mean `losttick lab probe`?"),
        (("plan", "shwo"), "no command 'shwo'. Did you mean `losttick plan show`?"),
        (("xyzzy",), "no command 'xyzzy'. See `losttick --help`."),
        (("--vresion",), "no option '--vresion'. Did you mean `losttick --version`?"),
        (("lab", "--version"), "no option '--version'. See `losttick lab --help`."),
    ],
)
def test_a_mistyped_command_gets_a_suggestion(args: tuple[str, ...], words: str) -> None:
    done = losttick(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_the_plans_are_listed_with_what_they_are_for() -> None:
    text = losttick("plan").stdout
    for name in shipped_plans():
        assert f"\n  {name} " in text
        assert plan_description(name) in " ".join(text.split())
        assert len(plan_description(name)) > 30


@pytest.mark.parametrize("args", [(), ("lab",), ("plan",)])
def test_without_a_command_the_help_is_printed(args: tuple[str, ...]) -> None:
    done = losttick(*args)
    assert done.returncode == 2
    assert done.stdout == losttick(*args, "--help").stdout


def test_the_version() -> None:
    done = losttick("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("losttick ")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("losttick ", "doctor"),
        ("losttick lab ", "clean"),
        ("losttick fleet ", "resume"),
        ("losttick run --loads", "--loads-per"),
    ],
)
def test_shell_completion(
    prepared: PreparedProcess, words: str, found: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = {
        "_LOSTTICK_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    assert prepared.code(stdout=out, env=asked) == 0
    assert found in out.read_text()


def test_nobody_reads_the_help() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "--help"],
        stdout=write, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("path", sorted(CLI.rglob("*.py")), ids=lambda path: path.name)
def test_modules_import_at_their_top(path: Path) -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    nested = [
        node.lineno
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, functions)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not nested
