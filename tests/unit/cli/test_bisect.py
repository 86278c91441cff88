"""The command `losttick bisect`, with a tester that builds nothing."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.bisect import tester as seam
from orchestrator.bisect.candidate import History
from orchestrator.bisect.log import LOG
from orchestrator.cli.bisect import going
from orchestrator.errors import TransientError
from tests.support.command_here import losttick
from tests.support.git import commit, git, repository
from tests.support.simulated_tester import SimulatedTester

KERNELS = [f"debian:6.1.{number}-1" for number in range(40, 60)]

LISTED = ("--kernels", ",".join(KERNELS))


def bisect(*args: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run `losttick bisect` in this process."""
    return losttick("bisect", *args, columns=300)


@pytest.fixture
def testers(monkeypatch: pytest.MonkeyPatch) -> list[SimulatedTester]:
    """Kernels lose from the twelfth on; the tester of each session."""
    made: list[SimulatedTester] = []
    found: Mapping[str, float] = {name: 0.5 * (i >= 12) for i, name in enumerate(KERNELS)}

    async def tester_of(*_: object) -> SimulatedTester:
        made.append(SimulatedTester(found))
        return made[-1]

    monkeypatch.setattr(going, "tester_of", tester_of)
    return made


def test_the_first_losing_one_is_named_with_both_sides(
    tmp_path: Path, testers: list[SimulatedTester]
) -> None:
    out = tmp_path / "out"
    done = bisect(*LISTED, "--out", out)
    assert done.returncode == 0, done.stderr
    assert f"The first kernel that shows it: {KERNELS[12]}" in done.stdout
    assert f"{KERNELS[11]}: 0 of " in done.stdout
    assert "rules out a loss rate above" in done.stdout
    assert "another one expose it" in done.stdout
    assert "It takes about" in done.stderr
    assert "the culprit is one of 19 with 95 %" in done.stderr
    assert testers[0].closed
    again = bisect("--replay", out / LOG)
    assert (again.returncode, again.stdout.splitlines()[:3]) == (0, done.stdout.splitlines()[:3])
    assert len(testers) == 1


def test_json(tmp_path: Path, testers: list[SimulatedTester]) -> None:
    done = bisect(*LISTED, "--out", tmp_path / "out", "--json")
    found = json.loads(done.stdout)
    assert found["answer"] == "found"
    assert [each["name"] for each in found["culprits"]] == [KERNELS[12]]
    assert found["losing"]["losses"] >= 2
    assert found["clean"]["losses"] == 0
    assert 0.95 <= found["probability"] <= 1
    assert found["boots"] == len(testers[0].tested)
    assert found["folder"] == str(tmp_path / "out")


def test_a_bisection_that_failed_can_go_on(
    tmp_path: Path, testers: list[SimulatedTester], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    usual = SimulatedTester.test

    async def failing(self: SimulatedTester, *args: Any) -> Any:
        if len(self.tested) == 3:
            raise TransientError("testing: No space left on device")
        return await usual(self, *args)

    monkeypatch.setattr(SimulatedTester, "test", failing)
    done = bisect(*LISTED, "--out", out, "--json")
    assert done.returncode == 6
    assert json.loads(done.stdout)["error"] == "testing: No space left on device"
    assert f"losttick bisect --resume {out}" in done.stderr
    unfinished = bisect("--replay", out)
    assert unfinished.returncode == 6
    assert "Not at its end" in unfinished.stdout
    monkeypatch.setattr(SimulatedTester, "test", usual)
    done = bisect("--resume", out, "--parent-rate", "0.05")
    assert done.returncode == 0, done.stderr
    assert KERNELS[12] in done.stdout
    assert "rules out a loss rate above 5 %" in done.stdout
    assert len(testers) == 2


@pytest.mark.parametrize(
    ("culprit", "words"),
    [(99, "No culprit: neither end loses at a rate of 1 %"), (0, "No culprit: both ends lose")],
)
def test_no_culprit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, culprit: int, words: str
) -> None:
    async def tester_of(settings: Mapping[str, str], history: History, *_: object) -> seam.Tester:
        every = enumerate(history.candidates)
        return SimulatedTester({each.name: 1.0 * (i >= culprit) for i, each in every})

    monkeypatch.setattr(going, "tester_of", tester_of)
    done = bisect(*LISTED, "--out", tmp_path / "out")
    assert done.returncode == 6
    assert words in done.stdout


def test_an_end_that_does_not_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def tester_of(*_: object) -> seam.Tester:
        return SimulatedTester({}, {KERNELS[-1]: seam.Stage.BOOT})

    monkeypatch.setattr(going, "tester_of", tester_of)
    done = bisect(*LISTED, "--out", tmp_path / "out")
    assert done.returncode == 3
    assert f"{KERNELS[-1]} fails" in done.stdout
    assert "Name another end" in done.stdout


def test_the_fixed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def tester_of(settings: Mapping[str, str], history: History, *_: object) -> seam.Tester:
        every = enumerate(history.candidates)
        return SimulatedTester({each.name: 0.7 * (i < 5) for i, each in every})

    monkeypatch.setattr(going, "tester_of", tester_of)
    file = tmp_path / "list"
    file.write_text("# oldest first\n" + "\n".join(KERNELS) + "\n")
    done = bisect("--kernels", f"@{file}", "--find", "fix", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert f"The first kernel that no longer shows it: {KERNELS[5]}" in done.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "COMMAND"),
        (("--good", "a", "--bad", "b"), "name one of --tree, --kernels and --qemus"),
        (("--kernels", "debian:a", "--qemus", "q"), "not --kernels and --qemus"),
        (("--tree", ".", "--good", "a"), "name both ends"),
        (("--kernels", "debian:a"), "two different candidates"),
        (("--kernels", "debian:a,debian:a"), "named twice"),
        (("--kernels", "debian:a,debian:b", "--good", "debian:c"), "debian:c is not in it"),
        (("--kernels", "debian:a,debian:b", "--good", "debian:b"), "--good must come before"),
        (("--kernels", "debian:a,debian:b", "--path", "kvm"), "need --tree"),
        (("--kernels", "@/nowhere"), "reading the list /nowhere"),
        (("--qemus", "/nowhere,/bin/true"), "there is no file /nowhere"),
        (("--kernels", "debian:a,debian:b", "--min-rate", "0"), "loss rate is a number"),
        (("--kernels", "debian:a,debian:b", "--confidence", "nan"), "between 0 and 1"),
        (("--tree", "/nowhere", "--good", "a", "--bad", "b"), "/nowhere"),
        (("--resume", "/nowhere"), "/nowhere"),
        (("--replay", "/nowhere"), "/nowhere"),
        (("--resume", "/a", "--replay", "/b"), "leave out"),
        (("--resume", "/a", "--good", "a"), "leave out"),
        (("--goof", "a"), "No such option"),
    ],
)
def test_bad_usage(tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    done = bisect(*args)
    assert done.returncode == 2
    assert words in (done.stderr or done.stdout)
    assert "Traceback" not in done.stderr


def test_a_history_is_printed_without_its_escapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["deb:/a\x1b[31mred", *KERNELS[:3]]

    async def tester_of(*_: object) -> seam.Tester:
        return SimulatedTester(dict.fromkeys(names[1:], 1.0) | {names[0]: 0.0})

    monkeypatch.setattr(going, "tester_of", tester_of)
    file = tmp_path / "list"
    file.write_text("\n".join(names))
    done = bisect("--kernels", f"@{file}", "--out", tmp_path / "out")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr


def test_a_tree_is_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty commits; the thirteenth breaks."""
    tree = repository(tmp_path / "tree")
    commits = []
    for number in range(20):
        (tree / "file").write_text(str(number))
        commits.append(commit(tree, f"commit {number} [bold]\x1b[31m"))
    (tree / "file").write_text("a change of the user's")
    before = git(tree, "status", "--porcelain"), git(tree, "for-each-ref"), files(tree)

    async def tester_of(settings: Mapping[str, str], history: History, *_: object) -> seam.Tester:
        assert settings["tree"] == str(tree)
        every = enumerate(history.candidates)
        return SimulatedTester({each.name: 0.6 * (i >= 12) for i, each in every})

    monkeypatch.setattr(going, "tester_of", tester_of)
    ends = ("--good", commits[0], "--bad", "main")
    done = bisect("--tree", tree, *ends, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert f"The first commit that shows it: {commits[12][:12]} (commit 12 [bold]" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert (git(tree, "status", "--porcelain"), git(tree, "for-each-ref"), files(tree)) == before


def files(folder: Path) -> dict[Path, bytes]:
    """Return the files below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
