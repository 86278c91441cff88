"""`--report`: what is refused before a run begins, and what an output's failure does to it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from orchestrator.cli.exits import ExitCode
from orchestrator.cli.out import cut_short as ended_early
from orchestrator.cli.reports import Reports, reports_of
from orchestrator.cli.text import print_json
from orchestrator.errors import InputError
from orchestrator.results.outputs.table import OUTPUTS
from orchestrator.testing import Script, immediate
from tests.support.command_here import valid_junit
from tests.support.cut_short_runs import cut_short


@pytest.mark.parametrize(
    ("given", "as_json", "words"),
    [
        (["xml=a"], False, "there is no kind 'xml', only junit, markdown"),
        (["junit"], False, "name a file as in junit=FILE"),
        (["junit="], False, "name a file as in junit=FILE"),
        (["github=a"], False, "github takes no file"),
        (["junit=-", "markdown=-"], False, "junit and markdown would both go to standard output"),
        (["junit=-", "markdown=/dev/stdout"], False, "both go to standard output"),
        (["junit=-"], True, "with --json, standard output has the JSON object alone"),
        (["junit=a", "markdown=./a"], False, "junit and markdown would both go to a"),
        (["junit=no/such"], False, "there is no folder no. Make it first"),
        (["junit=."], False, "it is a folder"),
    ],
)
def test_what_can_t_be_done_is_refused_before_a_run(
    given: list[str], as_json: bool, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="report") as refused:
        reports_of(given, as_json=as_json)
    assert words.replace("to a", "to ") in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_report_may_go_into_the_folder_that_the_run_will_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reports_of(["junit=new/junit.xml"], as_json=False, out=Path("new"))
    reports_of(["junit=new/junit.xml"], as_json=False, out=tmp_path / "new")
    for file, out in (("new/a/junit.xml", "new"), ("other/junit.xml", "new"), ("new", None)):
        if out is None:
            reports_of([f"junit={file}"], as_json=False)
        else:
            with pytest.raises(InputError, match="there is no folder"):
                reports_of([f"junit={file}"], as_json=False, out=Path(out))
    assert not list(tmp_path.iterdir())


def test_a_form_that_needs_no_file_goes_beside_json() -> None:
    assert not reports_of(["github"], as_json=True).on_stdout


@pytest.mark.parametrize(
    ("code", "after"), [(0, 4), (3, 4), (6, 4), (1, 1), (5, 5), (4, 4), (130, 130)]
)
def test_an_output_that_fails_hides_no_finding(
    code: int, after: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here the journal is missing: nothing can be reported."""
    reports = reports_of([f"junit={tmp_path / 'file'}"], as_json=False)
    assert reports.write_at_end(tmp_path, ExitCode(code)) == after
    assert "losttick: reading the run in" in capsys.readouterr().err
    assert Reports().write_at_end(tmp_path, ExitCode(code)) == code
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_cut_short_before_it_begins_reports_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports_of([f"junit={tmp_path / 'file'}"], as_json=False).write_cut_short(tmp_path)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("module", ["run", "lab.run", "report"])
def test_no_output_is_imported_before_it_is_asked_for(module: str) -> None:
    program = f"import sys, orchestrator.cli.{module}; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines())
    assert "orchestrator.results.outputs.table" in loaded
    assert not loaded & {kind.module for kind in OUTPUTS.values()}
    assert not {name.split(".")[0] for name in loaded} & {"jinja2", "junitparser", "vl_convert"}


async def test_a_run_that_was_cut_short_is_reported_unless_its_journal_is_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (out := tmp_path / "out").mkdir()
    await cut_short(out, Script(immediate), "trial", 3)
    wanted = reports_of([f"junit={tmp_path / 'file'}"], as_json=False)
    with pytest.raises(KeyboardInterrupt), ended_early(lambda: None, out, wanted):
        raise KeyboardInterrupt
    (suite,) = valid_junit((tmp_path / "file").read_text())
    assert {p.name: p.value for p in suite.properties()}["interrupted"] == "a signal stopped it"
    (tmp_path / "file").unlink()
    os.truncate(out / "journal.jsonl", 11_000_000)
    wanted.write_cut_short(out)
    assert not (tmp_path / "file").exists()
    assert f"`losttick report {out}` does it" in capsys.readouterr().err


#: What GitHub's runner would take for commands.
COMMANDS = "::stop-commands::x ##[add-mask]y"


@pytest.mark.parametrize("in_github", [True, False])
@pytest.mark.parametrize(
    ("kind", "form", "read"),
    [
        ("ktap", "# {}", None),
        ("markdown", "{}", None),
        ("kcidb", '{{"comment": "{}"}}', lambda printed: json.loads(printed)["comment"]),
        ("junit", "<a>{}</a>", lambda printed: ElementTree.fromstring(printed).text),
    ],
)
def test_an_output_in_the_log_of_a_job_holds_no_command(
    kind: str,
    form: str,
    read: Callable[[str], str] | None,
    *,
    in_github: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where the form has a way to write them, a reader of the output finds the same words."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true" if in_github else "")
    data = form.format(COMMANDS).encode()
    made = SimpleNamespace(render=lambda reports, options: data)
    monkeypatch.setattr("orchestrator.cli.reports.output", lambda kind: made)
    reports_of([f"{kind}=-"], as_json=False).write([])
    printed = capsys.readouterr().out
    assert ("::stop" in printed, "##[add" in printed) == (not in_github, not in_github)
    if read:
        assert read(printed) == COMMANDS


def test_json_in_the_log_of_a_job_holds_no_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    print_json([COMMANDS])
    printed = capsys.readouterr().out
    assert "::stop" not in printed
    assert "##[" not in printed
    assert json.loads(printed) == [COMMANDS]
