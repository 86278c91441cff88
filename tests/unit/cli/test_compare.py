"""The command `losttick compare`."""

import json
import subprocess
from pathlib import Path

import pytest

from orchestrator.journal.file import JOURNAL
from tests.support.command_here import losttick
from tests.support.made_reports import HOSTILE
from tests.support.made_runs import FULL, losing, make_run, other


def compare(*args: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run `losttick compare` in this process."""
    return losttick("compare", *args, columns=300)


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Path]:
    return {
        "clean": make_run(tmp_path / "clean", losing(0)),
        "same": make_run(tmp_path / "same", losing(0, tick=FULL)),
        "bad": make_run(tmp_path / "bad", losing(0.1), facts=other(kernel="6.5.0")),
        "few": make_run(tmp_path / "few", losing(0, 40), trials=40),
    }


@pytest.mark.parametrize(
    ("second", "options", "code", "said"),
    [
        ("same", (), 0, "same within 0.997%"),
        ("bad", (), 1, "worse"),
        ("few", (), 6, "more loads would"),
        ("bad", ("--fail-on", "cant-tell"), 0, "worse"),
        ("few", ("--fail-on", "worse"), 0, "can't tell"),
        ("same", ("--fail-on", "class"), 5, "immediate 100%, then full-period 100%"),
        ("same", ("--fail-on", "latency"), 5, "periods in the mean"),
        ("same", ("--margin", "0.005"), 6, "can't tell"),
        ("few", ("--margin", "0.5"), 0, "same within 7.22%"),
    ],
)
def test_answers_and_exit_codes(
    runs: dict[str, Path], second: str, options: tuple[str, ...], code: int, said: str
) -> None:
    done = compare(runs["clean"], runs[second], *options)
    assert done.returncode == code
    assert said in done.stdout.replace("\n", " ")
    assert not done.stderr


def test_the_gravest_run_decides(runs: dict[str, Path]) -> None:
    done = compare(runs["clean"], runs["same"], runs["few"], runs["bad"])
    assert done.returncode == 1
    assert "D against A: 1 worse, of 1 cell." in done.stdout


def test_json(runs: dict[str, Path]) -> None:
    done = compare(runs["clean"], runs["bad"], "--json")
    found = json.loads(done.stdout)
    assert found["error_rate"] == 0.05
    assert "error" not in found, "the key of a command that failed"
    (pair,) = found["comparisons"]
    (cell,) = pair["cells"]
    assert (done.returncode, cell["answer"]) == (1, "worse")
    assert cell["p_holm"] < 0.001
    assert cell["A"]["lost"] == 0 < cell["B"]["lost"]
    assert pair["hosts_differ_in"]["kernel"]["B"] == "6.5.0"


def test_html(runs: dict[str, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert compare(runs["clean"], runs["bad"], runs["few"], "--html", page).returncode == 1
    once = page.read_bytes()
    text = once.decode()
    assert "1 worse, of 1 cell" in text
    assert "can&#39;t tell" in text
    assert "<script" not in text
    compare(runs["clean"], runs["bad"], runs["few"], "--html", page)
    assert page.read_bytes() == once


def test_what_runs_say_is_inert(tmp_path: Path) -> None:
    """A host's facts and a name of a folder are no terminal escapes and no markup."""
    hostile = HOSTILE.replace("\ud800", "").replace("\x00", "")
    a = make_run(tmp_path / "a", losing(0))
    b = make_run(
        tmp_path / "b <script>\x1b[2J", losing(0.1), facts=other(kernel=hostile),
        losttick=hostile,
    )  # fmt: skip
    page = tmp_path / "page.html"
    done = compare(a, b, "--html", page)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "<script" not in page.read_text()
    assert "\x1b" not in page.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--margin", "0"), "a margin is"),
        (("--margin", "1"), "a margin is"),
        (("--margin", "nan"), "a margin is"),
        (("--margin", "much"), "number"),
        (("--fail-on", "better"), "better"),
        (("--html", "/nowhere/page.html"), "/nowhere"),
    ],
)
def test_bad_options(runs: dict[str, Path], options: tuple[str, ...], said: str) -> None:
    done = compare(runs["clean"], runs["bad"], *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_runs(runs: dict[str, Path], tmp_path: Path) -> None:
    for second, said in (
        (tmp_path / "nowhere", "No such file"),
        (runs["clean"], "named twice"),
        (_torn(tmp_path / "torn"), "journal"),
    ):
        done = compare(runs["clean"], second)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
    alone = compare(runs["clean"])
    assert alone.returncode == 2
    assert "name another run" in alone.stderr


def test_an_error_is_json_if_asked(tmp_path: Path) -> None:
    done = compare(tmp_path, tmp_path / "b", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]


def _torn(folder: Path) -> Path:
    folder.mkdir()
    (folder / JOURNAL).write_bytes(b'{"record": "run"\n')
    return folder


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "name two of them"),
        (("--run",), "there are 0. Give --qemu at least twice"),
        (("--run", "--qemu", "one"), "there are 1"),
        (("--run", "run-a", "--qemu", "one"), "run-a can't be named, too"),
        (("a", "b", "--qemu", "one"), "need --run"),
        (("a", "b", "--resume", "out"), "need --run"),
        (("a", "b", "--trials", "3"), "need --run"),
        (("--run", "--qemu", "one", "--variant", "base"), "Give one kind"),
        (("--run", "--variant", "base", "--plan", "quick"), "not for the lab"),
        (("--run", "--variant", "base", "--mode", "one-shot", "--mode", "periodic"), "one --mode"),
        (("--run", "--variant", "base", "--seconds", "3"), "QEMUs on this host"),
        (("--run", "--resume", "nowhere"), "no folders A and B"),
        (("--run", "--resume", "nowhere", "--qemu", "one"), "keep the plan"),
        (("--run", "--qemu", "/no/such", "--qemu", "/no/such"), "'/no/such' is not an executable"),
        (("--run", "--qemu", "a", "--qemu", "b", "--plan", "no-such"), "nor a shipped plan"),
    ],
)
def test_arms_that_can_not_be_run(
    args: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = compare(*args)
    assert done.returncode == 2
    assert said in done.stderr.replace("\n", " ")
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]
    assert "Traceback" not in done.stderr


def test_arms_go_only_into_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    done = compare("--run", "--qemu", "a", "--qemu", "b", "--out", tmp_path)
    assert done.returncode == 2
    assert "it is not empty" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]
