"""A git history of KVM's source in which one commit breaks, and both ways to find it.

The history is made of the source of a Debian kernel, in which each commit's modules run. Some
commits don't build, some panic, and the broken ones lose one tick in three at first.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from orchestrator.lab.kernel.kernel import Kernel
from tests.support.command import losttick_command
from tests.support.git import ENVIRONMENT, git
from tests.support.kvm_history import KvmHistory, long_history
from tests.support.labs import fetched

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(14400)]


@pytest.fixture(scope="module")
def base() -> Kernel:
    return fetched()


@pytest.fixture(scope="module")
def history(base: Kernel, tmp_path_factory: pytest.TempPathFactory) -> tuple[KvmHistory, str]:
    return long_history(base, tmp_path_factory.mktemp("history") / "kvm")


def test_git_bisect_run_finds_the_commit(
    base: Kernel, history: tuple[KvmHistory, str], tmp_path: Path
) -> None:
    made, culprit = history
    newest, oldest = list(made.commits.values())[-1], next(iter(made.commits.values()))
    git(made.place, "bisect", "start", newest, oldest)
    wanted = ["--expect-rate", "0.33", "--error", "0.1", "--out", str(tmp_path / "steps")]
    inner = ["lab", "run", "--kernel", f"git:.,on={base.name}", "--parallel", "1"]
    command = losttick_command("bisect", "run", *wanted, "--", *inner)
    found = subprocess.run(
        ["git", "bisect", "run", *command], cwd=made.place, env=os.environ | ENVIRONMENT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    log = git(made.place, "bisect", "log")
    print(found.stderr, found.stdout, log, sep="\n")
    assert f"{culprit} is the first bad commit" in found.stdout
    assert git(made.place, "status", "--porcelain", "--ignored") == "", "the tree is the user's"
    assert made.commits["does not build"] in log, "half of the history"
    assert "git bisect skip" in log


def test_losttick_bisect_finds_the_commit(
    base: Kernel, history: tuple[KvmHistory, str], tmp_path: Path
) -> None:
    """The end loses each tick, and the first broken commits one in three."""
    made, culprit = history
    newest, oldest = list(made.commits.values())[-1], next(iter(made.commits.values()))
    command = losttick_command(
        "bisect", "--good", oldest, "--bad", newest, "--tree", str(made.place), "--on", base.name,
        "--out", str(tmp_path / "out"), "--json",
    )  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    print(found.stderr, found.stdout, sep="\n")
    assert found.returncode == 0
    answer = json.loads(found.stdout)
    assert [each["commit"] for each in answer["culprits"]] == [culprit]
    assert answer["losing"]["losses"] >= 2
    assert (answer["clean"]["losses"], answer["clean"]["loads"] > 2) == (0, True)
    assert git(made.place, "status", "--porcelain", "--ignored") == "", "the tree is the user's"
    again = subprocess.run(
        losttick_command("bisect", "--replay", str(tmp_path / "out"), "--json"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(again.stdout)["culprits"] == answer["culprits"]
