"""`losttick run --resume-or-start`: what a fleet's hosts run, however often they are started."""

import asyncio
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cli import run_work
from orchestrator.host.sole_run import sole_run
from orchestrator.testing import FACTS, Script, immediate
from tests.support.command_here import losttick
from tests.support.cut_short_runs import cut_short, go_on

HERE = os.uname().release

PLAN = """
seed = 3
controls = 1
[axes]
period_ms = 100
loads_per_save = [2, 3]
[limits]
trials = 4
rule_out = 0.6
"""


@pytest.fixture(autouse=True)
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plan.toml").write_text(PLAN)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of the plan that came to its end on this kernel."""
    out = tmp_path_factory.mktemp("ended")
    asyncio.run(go_on(out, Script(immediate), replace(FACTS, kernel=HERE)))
    return out


RUN = ("run", "--plan", "plan.toml", "--out", "out", "--resume-or-start", "--exclusive")


def test_a_finished_run_is_printed_with_its_code(ended: Path) -> None:
    shutil.copytree(ended, "out")
    done = losttick(*RUN, "--expect-kernel", HERE)
    assert done.returncode == 0, done.stderr
    assert "clean" in done.stdout
    assert losttick(*RUN).stdout == done.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--trials", "5"], "they differ in limits.trials"),
        (["--seed", "4"], "they differ in seed"),
        (["--mode", "periodic", "--controls", "2"], "axes.mode"),
    ],
)
def test_another_plan_is_refused(args: Sequence[str], words: str, ended: Path) -> None:
    shutil.copytree(ended, "out")
    done = losttick(*RUN, *args)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert "another plan" in done.stderr


def test_another_kernel_is_a_failure_before_anything_else() -> None:
    done = losttick("run", "--plan", "none.toml", "--expect-kernel", "6.0-other", "--json")
    assert done.returncode == 4
    assert f"this host runs {HERE}" in done.stderr
    assert '"verdict": null' in done.stdout


def test_a_run_of_another_kernel_is_not_gone_on_with() -> None:
    out = Path("out")
    out.mkdir()
    asyncio.run(cut_short(out, Script(immediate), "trial", 1))
    before = (out / "journal.jsonl").read_bytes()
    done = losttick(*RUN, "--expect-kernel", HERE)
    assert done.returncode == 4
    assert f"it ran on the kernel {FACTS.kernel}" in done.stderr
    assert (out / "journal.jsonl").read_bytes() == before


def test_a_host_with_another_run_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"losttick/test-{secrets.token_hex(8)}"
    monkeypatch.setattr(run_work, "sole_run", lambda: sole_run(name))
    with sole_run(name):
        done = losttick(*RUN)
    assert done.returncode == 6
    assert "another run with --exclusive has this host" in done.stderr
    assert not Path("out").exists()


def test_it_needs_a_folder() -> None:
    assert "needs --out" in losttick("run", "--resume-or-start").stderr
    done = losttick("run", "--resume", "out", "--resume-or-start")
    assert done.returncode == 2
    assert "resuming a run: it keeps the plan" in done.stderr
