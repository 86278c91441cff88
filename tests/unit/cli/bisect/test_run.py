"""What `losttick bisect run` tells git, for whatever the command inside comes to."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.bisect.git_bisection import GitBisection, git_bisection
from orchestrator.cli.bisect import run as command_run
from orchestrator.cli.bisect.inner_run import Ended
from orchestrator.results.exit_code import result_exit
from orchestrator.results.result import read_result
from orchestrator.results.summary import summary
from tests.support.command_here import losttick
from tests.support.git import ENVIRONMENT, commit, git, repository
from tests.support.made_runs import LOST, TICK, UNKNOWN, Load, exactly, make_run, other
from tests.support.processes import wait_until
from tests.support.trees import NEEDS, tree

#: A host that shows the bug, if its kernel has it, and a host that can't.
EXPOSED = other(
    vendor="GenuineIntel", kvm_modules={"kvm_intel": {"enable_apicv": "Y"}}, hypervisor=False
)
SPARED = other(vendor="AuthenticAMD", kvm_modules={"kvm_amd": {}}, hypervisor=False)

COMMAND = ["run", "--accel", "kvm"]


@pytest.fixture(scope="module")
def nine_commits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which git bisects."""
    place = repository(tmp_path_factory.mktemp("repository") / "tree")
    for number in range(9):
        (place / "file").write_text(str(number))
        commit(place, f"commit {number}")
    git(place, "bisect", "start", "main", "main~8")
    return place


@pytest.fixture(autouse=True)
def in_a_bisection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be where git bisects eight commits, without asking git."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command_run, "git_bisection", lambda folder: GitBisection(8, 0))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def history(
    nine_commits: Path, in_a_bisection: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of the repository, in which the test runs, and asks git."""
    place = tmp_path / "tree"
    shutil.copytree(nine_commits, place)
    monkeypatch.chdir(place)
    monkeypatch.setattr(command_run, "git_bisection", git_bisection)
    return place


def stand_in(
    monkeypatch: pytest.MonkeyPatch, ended: Callable[[Path, int], Ended]
) -> list[list[str]]:
    """Let a function run the command inside; return a list that gets what it was asked."""
    asked: list[list[str]] = []

    async def run(words: Sequence[str]) -> Ended:
        asked.append(list(words))
        trials = int(words[words.index("--trials") + 1])
        return ended(Path(words[words.index("--out") + 1]), trials)

    monkeypatch.setattr(command_run, "run_losttick", run)
    return asked


def a_run(loads: Callable[[int], Sequence[Load]], **made: object) -> Callable[[Path, int], Ended]:
    """Return a command that runs to its end, with loads of the test's choice."""

    def run(out: Path, trials: int) -> Ended:
        given: dict[str, Any] = {"facts": EXPOSED, "trials": trials, "rule_out": 0.3, **made}
        make_run(out, loads(trials), **given)
        result = read_result(out)
        printed = json.loads(json.dumps(summary(result), default=str))
        return Ended(int(result_exit(result.ends)), printed)

    return run


def an_error(code: int, error: str, **more: bool) -> Callable[[Path, int], Ended]:
    return lambda out, trials: Ended(code, {"verdict": None, "error": error, **more})


CLEAN = a_run(lambda trials: exactly(0, trials))
AFFECTED = a_run(lambda trials: [TICK, LOST], stop_after=1)

CASES: dict[str, tuple[Callable[[Path, int], Ended], int, str]] = {
    "clean": (CLEAN, 0, "good: Clean: no loss in"),
    "affected": (AFFECTED, 1, "bad: Affected: "),
    "a control that was not seen": (
        a_run(lambda trials: exactly(0, trials), unseen=1), 125, "skip: Inconclusive"),
    "loads whose outcome is unknown": (
        a_run(lambda trials: [UNKNOWN] * trials), 125, "skip: Inconclusive"),
    "fewer loads than the claim needs": (
        lambda out, trials: a_run(lambda _: exactly(0, 9), trials=9)(out, 9), 125, "rule out loss"),
    "a commit that does not build": (
        an_error(4, "building x: no. The last lines of log:\n  x", untestable=True), 125,
        "skip: building x: no. The last lines of log (above)"),
    "a host that can't show the bug": (
        a_run(lambda trials: exactly(0, trials), facts=SPARED), 203, "can't show the bug"),
    "bad usage": (an_error(2, "no such thing"), 202, "abort: no such thing"),
    "a missing tool": (an_error(3, "gcc is not installed"), 203, "abort: gcc"),
    "no room on the disk": (an_error(6, "No space left on device"), 206, "abort: No space"),
    "a failure of losttick": (an_error(4, "a fault"), 204, "abort: a fault"),
    "an error that calls itself clean": (an_error(0, "odd"), 204, "abort: odd"),
    "an error that calls itself affected": (an_error(1, "odd"), 204, "abort: odd"),
    "no JSON": (lambda out, trials: Ended(1, None), 204, "told no verdict"),
    "JSON without a verdict": (lambda out, trials: Ended(0, {"a": 1}), 204, "told no verdict"),
    "a verdict without a journal": (
        lambda out, trials: Ended(1, {"verdict": "affected"}), 204, "reading the run"),
    "a kill": (lambda out, trials: Ended(-9, None), 204, "signal 9 ended it"),
    "an interrupt": (lambda out, trials: Ended(130, None), 130, "it ended with 130"),
    "a run that did not end": (
        lambda out, trials: a_run(lambda _: exactly(0, trials), ends=False)(out, trials), 204,
        "has not ended"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_answer(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, code, said = CASES[case]
    stand_in(monkeypatch, ended)
    done = losttick("bisect", "run", "--", *COMMAND, columns=400)
    assert (done.returncode, said in done.stdout) == (code, True), done.stdout + done.stderr


@pytest.mark.parametrize(("code", "verdict"), [(0, "clean"), (1, "clean"), (1, "affected")])
def test_a_journal_that_says_something_else_is_no_answer(
    code: int, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the journal and the exit code; a false affected would name a commit."""
    real = AFFECTED if verdict == "clean" else CLEAN

    def run(out: Path, trials: int) -> Ended:
        printed = real(out, trials).printed
        return Ended(code, {**(printed or {}), "verdict": verdict})

    stand_in(monkeypatch, run)
    done = losttick("bisect", "run", "--", *COMMAND, columns=400)
    assert done.returncode == 204
    assert "but its journal says" in done.stdout


def test_loads_follow_from_the_rate_and_a_share_of_the_error(
    monkeypatch: pytest.MonkeyPatch, history: Path
) -> None:
    asked = stand_in(monkeypatch, CLEAN)
    options = ["--expect-rate", "0.2", "--error", "0.05"]
    done = losttick("bisect", "run", *options, "--json", "--", "losttick", *COMMAND)
    said = json.loads(done.stdout)
    assert (said["git"], said["code"]) == ("good", 0)
    # Eight candidates: git takes 3 steps at most, and it has 4 for what it skips, and one share
    # for all others: ln(0.05 / 5) / ln(0.8) = 20.6.
    (words,) = asked
    assert words[: words.index("--out")] == [
        *COMMAND, "--trials", "21", "--rule-out", "0.2", "--require", "apicv",
        "--confidence", "0.99", "--stop-after", "1",
    ]  # fmt: skip
    assert said["run"] not in str(history), "git owns the work tree"
    for _ in range(4):
        git(history, "bisect", "good", "main~5")
    losttick("bisect", "run", *options, "--", *COMMAND)
    assert "22" not in asked[1]
    assert asked[1][asked[1].index("--trials") + 1] == "24", "further steps get less and less"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["make", "test"], "must be `lab run` or `run` of losttick, not 'make test'"),
        (["sh", "-c", "losttick run"], "must be `lab run`"),
        (["lab", "probe"], "must be `lab run`"),
        (["lab", "run"], "must name one --kernel, not none"),
        (["lab", "run", "--kernel", "debian:bookworm"], "same kernel at every commit"),
        (["lab", "run", "--kernel", "x=debian:bookworm"], "same kernel at every commit"),
        (["lab", "run", "--kernel=git:.", "--kernel=git:.@main"], "must name one --kernel, not 2"),
        (["lab", "run", "--kernel=git:.", "--variant=base"], "leave out --variant"),
        (["lab", "run", "--kernel=git:.", "--no-apicv"], "leave out --no-apicv"),
        (["lab", "run", "--kernel=git:.@{head}"], "same commit at every step"),
        (["lab", "run", "--kernel=git:.@main"], "and git asks about {head}"),
        (["lab", "run", "--kernel=git:.", "--help"], "would only print its help"),
        (["lab", "run", "--kernel=git:/nowhere"], "there is no folder /nowhere"),
        (["lab", "run", "--kernel=git:.", "--trails=7"], "No such option"),
        ([*COMMAND, "--out", "x"], "leave out --out"),
        ([*COMMAND, "--fail-on", "anomalous"], "leave out --fail-on"),
        ([*COMMAND, "--resume", "x"], "leave out --resume"),
        ([*COMMAND, "--trials", "7"], "7 trials can't rule out a loss rate of 0.1"),
        ([], "Missing argument"),
    ],
)
def test_a_command_that_can_not_serve_ends_the_bisection(
    words: list[str], said: str, history: Path
) -> None:
    head = git(history, "rev-parse", "HEAD")[:12]
    done = losttick("bisect", "run", "--", *(each.format(head=head) for each in words), columns=400)
    assert done.returncode == 202
    assert said.format(head=head) in done.stderr


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("kernel", ["tree:.", "x=git:.", "git:.@HEAD,on=debian:bookworm"])
def test_kernels_that_follow_the_checkout(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stand_in(monkeypatch, CLEAN)
    inner = ["lab", "run", "--kernel", kernel, "--parallel=1"]
    assert losttick("bisect", "run", "--", *inner).returncode == 0
    assert asked[0][:5] == inner
    assert "--rule-out" not in asked[0], "lab run has no such option"
    assert asked[0][asked[0].index("--period") + 1] == "60", "to measure it takes minutes"
    losttick("bisect", "run", "--", *inner, "--mode", "periodic")
    assert "--period" not in asked[1]


@pytest.mark.parametrize(
    "words",
    [
        ["--", *COMMAND],
        ["run", "--nonsense"],
        ["run", "--error", "2", "--", *COMMAND],
        ["rum", "--", "x"],
    ],
)
def test_bad_usage_is_no_bad_commit(words: list[str]) -> None:
    assert losttick("bisect", *words).returncode == 202


def test_the_steps_must_be_known(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(history, "bisect", "reset")
    done = losttick("bisect", "run", "--", *COMMAND, columns=400)
    assert (done.returncode, "give --steps" in done.stderr) == (202, True)
    stand_in(monkeypatch, CLEAN)
    assert losttick("bisect", "run", "--steps", "3", "--", *COMMAND).returncode == 0


def test_a_bisection_without_checkouts(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(history, "bisect", "reset")
    git(history, "bisect", "start", "--no-checkout", "main", "main~8")
    asked = stand_in(monkeypatch, CLEAN)
    inner = ["lab", "run", "--kernel"]
    done = losttick("bisect", "run", "--", *inner, "git:.", columns=400)
    assert (done.returncode, "name git:DIR@BISECT_HEAD" in done.stderr) == (202, True)
    assert losttick("bisect", "run", "--", *inner, "git:.@BISECT_HEAD").returncode == 0
    assert len(asked) == 1


@pytest.mark.parametrize("place", [".", "../other"])
def test_a_tree_that_was_built_before_its_checkout_is_refused(place: str, history: Path) -> None:
    git(history, "worktree", "add", "--quiet", "--detach", "../other")
    tree(history / place)
    built = ("arch/x86/boot/bzImage", *NEEDS)
    for path in built:
        os.utime(history / place / path, (1, 1))
    done = losttick("bisect", "run", "--", "lab", "run", "--kernel", f"tree:{place}", columns=400)
    assert (done.returncode, "is older than the checkout" in done.stderr) == (202, True)


#: Runs `losttick bisect run` in a process of its own, with a program in place of losttick inside.
OUTER = """
import sys
from orchestrator.cli import main
from orchestrator.cli.bisect import inner_run
inner_run.own_argv = lambda: [sys.executable, "-c", {inner!r}]
main()
"""


def outer(inner: str) -> list[str]:
    program = OUTER.format(inner=inner)
    return [sys.executable, "-c", program, "bisect", "run", "--steps", "3", "--", *COMMAND]


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("raise RuntimeError", 204),  # ends with 1, which git would take for bad
        ("import os; os.kill(os.getpid(), 11)", 204),
    ],
)
def test_a_crash_inside_is_no_answer(inner: str, code: int) -> None:
    done = subprocess.run(outer(inner), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_both(how: signal.Signals, tmp_path: Path) -> None:
    began, ended = tmp_path / "began", tmp_path / "ended"
    inner = (
        f"import pathlib, time\npathlib.Path({str(began)!r}).touch()\ntry:\n    time.sleep(60)\n"
        f"except KeyboardInterrupt:\n    pathlib.Path({str(ended)!r}).touch()\n"
    )
    process = subprocess.Popen(
        outer(inner), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT,
        preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL)
                            for each in (signal.SIGINT, signal.SIGTERM)] and None,
    )  # fmt: skip
    try:
        assert wait_until(began.exists)
        time.sleep(0.1)
        process.send_signal(how)
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert ended.exists(), "the command inside could not clean up"
