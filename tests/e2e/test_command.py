"""The command as its users meet it: verdicts, exit codes, and what goes wrong on their machines."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.process import folder
from orchestrator.vm.config import Accel
from tests.support.command import losttick_command, started
from tests.support.command_here import valid_junit
from tests.support.journal import journal_dicts
from tests.support.needs import Need, lacking, not_applicable
from tests.support.processes import marked_processes, wait_until
from tests.support.steps import steps

Run = Callable[..., "subprocess.CompletedProcess[str]"]

#: A run that is over soon, and inconclusive for want of trials unless told otherwise.
QUICK = ("run", "--trials", "20", "--rule-out", "0.15", "--period", "10")


def test_run_says_clean(losttick: Run, tmp_path: Path, accel: Accel) -> None:
    done = losttick(*QUICK, "--accel", accel, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "clean" in done.stdout
    assert "2 of 2 seen" in done.stdout
    assert "out/journal.jsonl" in done.stdout
    records = journal_dicts(tmp_path / "out" / "journal.jsonl")
    kinds = [record["record"] for record in records]
    assert kinds[:3] == ["run", "host", "plan"]
    assert kinds[-2:] == ["cell", "verdict"]
    roles = [record.get("role", "host") for record in records if record["record"] == "trial"]
    loads = roles.count("host")
    assert loads == 20 or (loads > 20 and "sham" in roles)  # a busy host gets more, in pairs
    assert "20/20" in done.stderr  # paired or not
    assert losttick("show", "out").stdout == done.stdout
    assert losttick("bundle", "out", "-o", "b.tar.zst", "--anonymous").returncode == 0
    assert done.stdout.startswith(losttick("show", "b.tar.zst").stdout)


def test_json_is_one_object_and_nothing_else(
    losttick: Run, best_accel: Accel, tmp_path: Path
) -> None:
    reports = ("--report", "junit=out/junit.xml", "--report", "markdown=out.md")
    done = losttick(*QUICK, "--json", "--seed", "5", "--out", "out", *reports)
    assert done.returncode == 0, done.stderr
    assert losttick("show", "--json", "out").stdout == done.stdout
    for option, name in (("--junit", "out/junit.xml"), ("--markdown", "out.md")):
        assert losttick("report", "out", option, "-").stdout == (tmp_path / name).read_text()
    data = json.loads(done.stdout)
    assert data["verdict"] == "clean"
    assert data["seed"] == 5
    assert data["exposure"]["state"] in ("exposed", "not-exposed", "unknown")
    assert data["host"]["qemu"]["sha256"]
    (cell,) = data["cells"]
    assert cell["id"] == f"{best_accel}/one-shot/xapic/hmp/10ms/25loads"
    assert cell["trials"] >= 20  # a busy host gets more, in pairs with shams
    assert cell["loss_rate"]["high"] == pytest.approx(1 - 0.05 ** (1 / cell["trials"]))
    assert [control["cause"] for control in cell["controls"]] == ["lost one-shot interrupt"] * 2


def test_too_few_trials_are_inconclusive(losttick: Run) -> None:
    done = losttick("run", "--trials", "5", "--period", "10")
    assert done.returncode == 6
    assert "inconclusive" in done.stdout


def test_a_plan_file_spans_cells(losttick: Run, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(
        'seed = 1\n[axes]\naccel = "tcg"\nmode = ["one-shot", "periodic"]\nperiod_ms = 10\n'
        "[limits]\ntrials = 50\nrule_out = 0.3\n"
    )
    done = losttick("run", "--plan", "plan.toml", "--trials", "12", "--json")
    assert done.returncode == 0, done.stderr
    cells = json.loads(done.stdout)["cells"]
    assert all(cell["trials"] >= 12 for cell in cells)  # a busy host gets more, in pairs
    assert [cell["id"].split("/")[1] for cell in cells] == ["one-shot", "periodic"]


def test_every_fault_of_a_plan_is_named_with_its_place(losttick: Run, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(
        '[axes]\naccel = ["kvm", "xen"]\nperiod_ms = 0.5\nspeed = 9\n\n[limits]\nrule_out = 2\n'
    )
    done = losttick("run", "--plan", "plan.toml")
    assert done.returncode == 2
    assert "4 faults" in done.stderr
    for words in (
        "line 2, axes.accel[2]:", "line 3, axes.period_ms[1]:", "line 4, axes.speed: there is no",
        "line 7, limits.rule_out:",
    ):  # fmt: skip
        assert words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "losttick-out").exists()


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("run", "--qemu", "no-such-qemu"), 2, "'no-such-qemu' is not an executable file"),
        (("run", "--mode", "weekly"), 2, "weekly"),
        (("run", "--rule-out", "7"), 2, "--rule-out: it must be less than 1"),
        (("run", "--plan", "absent.toml"), 2, "No such file"),
        (("run", "--out", "/proc/losttick"), 2, "Name another folder with --out"),
        (("run", "--qemu", "/bin/true"), 4, "/bin/true what it is: it does not answer as QEMU"),
        (
            ("run", "--period", "0.2"),
            2,
            "--period: a period is auto, or a number of",
        ),
        (("run", "--rule-out", "1e-12"), 2, "--rule-out: it must be at least 1e-09 (given: 1e-12)"),
        (("run", "--rule-out", "2e-9"), 2, "--rule-out: to rule out 2e-09 at 0.95 takes"),
    ],
)
def test_bad_input_gets_a_sentence(
    losttick: Run, args: tuple[str, ...], code: int, words: str
) -> None:
    done = losttick(*args)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_what_a_host_cannot_do_is_skipped(losttick: Run) -> None:
    done = losttick("run", "--accel", "tcg", "--mode", "tsc-deadline", "--json")
    if "no TSC-deadline timer" not in done.stdout:
        not_applicable("this QEMU's TCG has a TSC-deadline timer")
    assert done.returncode == 3
    data = json.loads(done.stdout)
    assert data["verdict"] == data["cells"][0]["verdict"] == "skipped"


def test_output_that_nobody_reads(losttick: Run, tmp_path: Path) -> None:
    """Never exit code 1: that means a finding."""
    quick = [*QUICK, "--accel", "tcg"]
    with subprocess.Popen(
        losttick_command(*quick, "--out", "a"), cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout
        process.stdout.close()
        assert process.wait(timeout=60) == 141
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            losttick_command(*quick, "--out", "b", "--json"), cwd=tmp_path, stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 4
    assert "writing to standard output: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    for out in ("a", "b"):
        records = journal_dicts(tmp_path / out / "journal.jsonl")
        assert records[-1]["verdict"] == "clean"


def test_without_qemu(losttick: Run, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = losttick("run", path=str(tmp_path / "bin"))
    assert done.returncode == 3
    assert "there is no qemu-system-x86_64 on PATH" in done.stderr
    assert "doctor --fix" in done.stderr
    found = losttick("doctor", path=str(tmp_path / "bin"))
    assert found.returncode == 3
    assert "apt-get install" in found.stdout


def test_a_qemu_that_refuses_the_machine(losttick: Run, tmp_path: Path) -> None:
    """Its own words reach the user."""
    qemu = shutil.which("qemu-system-x86_64")
    script = tmp_path / "qemu"
    script.write_text(f'#!/bin/sh\nexec {qemu} "$@" -device no-such-device\n')
    script.chmod(0o755)
    done = losttick("run", "--accel", "tcg", "--qemu", str(script))
    assert done.returncode == 4, done.stderr
    assert "no-such-device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_read_only_out_folder(losttick: Run, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        place = "/proc/self"  # root may write to a folder that is only marked read-only
    else:
        (tmp_path / "closed").mkdir(mode=0o555)
        place = str(tmp_path / "closed")
    done = losttick("run", "--accel", "tcg", "--out", f"{place}/out")
    assert done.returncode == 2
    assert f"writing results to {place}/out" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk(tmp_path: Path) -> None:
    """The journal fills its disk: exit 4, a sentence, and a journal that can be read."""
    small = tmp_path / "small"
    small.mkdir()
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "-r"]
    script = 'mount -t tmpfs -o size=32k none "$1" && shift && "$@"; code=$?; cat small/out/*.jsonl'
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode != 0:
        lacking(Need.NAMESPACES, "unshare --mount fails")
    done = subprocess.run(
        [*unshare, "sh", "-c", script + " | tail -n 2; exit $code", "sh", str(small),
         *losttick_command(
             "run", "--accel", "tcg", "--period", "10", "--trials", "200", "--out", "small/out"
         )],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout.splitlines()[0])["record"]


def start(tmp_path: Path, *args: str) -> contextlib.AbstractContextManager["subprocess.Popen[str]"]:
    """Start a run that would go on for an hour."""
    long = ("run", "--accel", "tcg", "--period", "10", "--trials", "100000", "--out", "out")
    return started(*long, *args, cwd=tmp_path)


def trials_in(journal: Path) -> int:
    return sum(record["record"] == "trial" for record in journal_dicts(journal))


@pytest.fixture
def heeded(how: signal.Signals) -> Iterator[None]:
    """Let commands heed the signal, though the tests may run under `nohup`."""
    before = signal.signal(how, lambda *_: None)  # what a program that is started takes for none
    yield
    signal.signal(how, before)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("heeded")
def test_an_interrupted_run_ends_clean(
    tmp_path: Path, how: signal.Signals, nothing_left_behind: str
) -> None:
    journal = tmp_path / "out" / "journal.jsonl"
    with (
        steps(tmp_path / "events") as events,
        start(
            tmp_path, "--json", "--events", "events", "--report", "junit=out/junit.xml"
        ) as process,
    ):
        events.wait_for("attempt_ends", 6)
        process.send_signal(how)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert json.loads(out)["verdict"] is None
    last = journal_dicts(journal)[-1]
    assert (last["record"], last["error"]) == ("interrupted", how.name)
    (suite,) = valid_junit((tmp_path / "out" / "junit.xml").read_text())
    assert how.name in {p.name: p.value for p in suite.properties()}["interrupted"]
    assert "/100000, loss rate < " in err.split("interrupted")[0].splitlines()[-4]
    assert marked_processes(nothing_left_behind) == {}


def has_process(marker: str, words: str) -> bool:
    return any(words in line for line in marked_processes(marker).values())


@pytest.mark.parametrize("words", ["supervisor.py", "qemu-system"])
def test_an_orchestrator_killed_as_it_starts_qemu_leaves_nothing(
    tmp_path: Path, words: str, nothing_left_behind: str
) -> None:
    """SIGKILL as the supervisor is there, or QEMU; `nothing_left_behind` looks after it."""
    with start(tmp_path) as process:
        assert wait_until(lambda: has_process(nothing_left_behind, words))
        process.kill()
        process.communicate(timeout=20)


@pytest.mark.parametrize(
    "step",
    [
        "run_begins",
        pytest.param("cell_begins", marks=pytest.mark.thorough),
        pytest.param("control_seen", marks=pytest.mark.thorough),
        "attempt_ends",
    ],
)
def test_an_orchestrator_killed_at_a_step_leaves_nothing(tmp_path: Path, step: str) -> None:
    """SIGKILL as a step is announced; what was journalled before it can be read."""
    with steps(tmp_path / "events") as events, start(tmp_path, "--events", "events") as process:
        events.wait_for(step)
        process.kill()
        process.communicate(timeout=20)
    records = journal_dicts(tmp_path / "out" / "journal.jsonl")
    kinds = [record["record"] for record in records]
    assert kinds[:3] == ["run", "host", "plan"]
    if step == "attempt_ends":
        assert "trial" in kinds, "a trial is journalled before it is announced"


def test_a_killed_orchestrator_in_mid_run(tmp_path: Path, nothing_left_behind: str) -> None:
    journal = tmp_path / "out" / "journal.jsonl"
    with (
        steps(tmp_path / "events") as events,
        start(tmp_path, "--events", "events") as process,
    ):
        events.wait_for("attempt_ends", 6)
        assert any("qemu-system" in line for line in marked_processes(nothing_left_behind).values())
        process.kill()
        process.communicate(timeout=20)
    assert trials_in(journal) > 5


def test_a_killed_supervisor_takes_its_qemu_along(tmp_path: Path, nothing_left_behind: str) -> None:
    """Orchestrator and supervisor killed together: QEMU's PDEATHSIG is the backstop."""
    with (
        steps(tmp_path / "events") as events,
        start(tmp_path, "--events", "events") as process,
    ):
        events.wait_for("attempt_ends", 2)
        found = marked_processes(nothing_left_behind)
        supervisors = [pid for pid, line in found.items() if "supervisor.py" in line]
        for pid in supervisors:
            os.kill(pid, signal.SIGSTOP)  # or it might clear up before it is killed
        process.kill()
        for pid in supervisors:
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=20)
    assert wait_until(lambda: not marked_processes(nothing_left_behind))
    # Its folder has nobody left to remove it; the next run does.
    base = folder.base_folder()
    left = list(base.iterdir())
    assert len(left) == 1
    assert folder.sweep(base) == left


def test_doctor_says_what_this_host_is(losttick: Run, best_accel: Accel) -> None:
    done = losttick("doctor")
    assert done.returncode == 0, done.stderr
    assert os.uname().release in done.stdout
    aside = ", but not on the bug" if "This host is not-exposed" in done.stdout else "."
    assert f"`losttick run` can give a verdict here{aside}" in done.stdout
    data = json.loads(losttick("doctor", "--json").stdout)
    seen = {finding["subject"]: finding["good"] for finding in data["findings"]}
    assert seen["tcg one-shot"]
    assert seen["kvm one-shot"] is (best_accel is Accel.KVM)


def test_require_apicv(losttick: Run) -> None:
    state = json.loads(losttick("doctor", "--json").stdout)["exposure"]["state"]
    if state == "exposed":
        not_applicable("this host meets the requirement: there is nothing to refuse")
    done = losttick("run", "--require", "apicv")
    assert done.returncode == 3
    assert "APICv is required" in done.stderr


def test_help_lists_the_commands() -> None:
    done = subprocess.run(
        losttick_command("--help"), capture_output=True, text=True, check=True,
        env=os.environ | {"COLUMNS": "100"},
    )  # fmt: skip
    assert "run" in done.stdout
    assert "doctor" in done.stdout
    version = subprocess.run(
        [sys.executable, "-m", "orchestrator", "--version"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert version.stdout.startswith("losttick ")
