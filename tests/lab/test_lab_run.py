"""The real bug and its fix, through real QEMU, in real Debian kernels on Bochs.

Everything goes by the command itself, as its user gives it.
"""

import json
import os
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import started
from tests.support.lab_command import TRIALS, arms, assert_frozen, lab_run, records
from tests.support.processes import marked_processes, wait_until

pytestmark = pytest.mark.timeout(1200)


#: So many loads of an arm take two saves.
FEW = 6


def assert_plain(cell: dict[str, Any], trials: int) -> None:
    assert cell["trials"] == trials
    assert cell["outcomes"].get("lost", 0) == 0
    assert cell["verdict"] == "clean", cell["why"]
    assert all(control["seen"] for control in cell["controls"])
    assert len(cell["controls"]) == 2


@pytest.mark.long
@pytest.mark.parametrize("trials", [FEW, pytest.param(TRIALS, marks=pytest.mark.thorough)])
def test_the_bug_and_its_fix_side_by_side(tmp_path: Path, trials: int) -> None:
    out = tmp_path / "out"
    found = lab_run(out, trials=trials)
    by = arms(found)
    assert_plain(by["untouched", True], trials)
    if ("base", True) in by:
        assert_plain(by["base", True], trials)
    assert_frozen(by["revert-fix", True], trials)
    assert_plain(by["revert-fix", False], trials)
    assert found["verdict"] == "clean"  # that of the untouched kernel
    for (_, apicv), cell in by.items():
        assert cell["host"]["kvm_modules"]["kvm_intel"]["enable_apicv"] == "YN"[not apicv]
        assert cell["exposure"]["state"] == ("exposed" if apicv else "not-exposed")
        assert cell["host"]["cpu"].startswith("Bochs")
        went_on = {kind for kind in cell["outcomes"] if kind != "lost"}
        # Where this machine was busy, timing can't tell.
        assert went_on <= {"immediate", "indistinct"}
    assert len(list((out / "serial").iterdir())) == 1  # one boot serves all arms
    for hang in records(out, "trial"):
        if hang["outcome"] == "lost":
            assert (out / hang["evidence"] / "diagnosis.txt").exists()


@pytest.mark.thorough
def test_a_kernel_whose_fix_is_masked_has_a_base(tmp_path: Path) -> None:
    """With `wants_to_run`, the fix alone makes no difference: it is reverted on a base.

    The kernel is Debian's newest. tests/lab/test_lab_variants.py has the same by the direct test.
    """
    newest = ["--kernel=debian:trixie-backports", "--period=100"]
    by = arms(lab_run(tmp_path / "out", *newest, "--variant=untouched", "--variant=base"))
    assert_plain(by["untouched", True], TRIALS)
    assert_plain(by["base", True], TRIALS)
    (reverted,) = lab_run(tmp_path / "reverted", *newest, "--variant=revert-fix", trials=3)["cells"]
    assert_frozen(reverted, trials=3)


def test_the_losses_found_are_the_losses_made(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (cell,) = lab_run(out, "--variant=partial", "--every=4", trials=12)["cells"]
    loads = records(out, "trial")
    # The edit counts every load, those of the controls as well, and loses each fourth.
    made = {n for n in range(1, len(loads) + 1) if n % 4 == 0}
    assert cell["lab"]["counters"] == {
        "losttick_restores": len(loads),
        "losttick_lost": len(made),
    }
    host = [(n, load["outcome"]) for n, load in enumerate(loads, 1) if load["role"] == "host"]
    assert Counter(outcome for _, outcome in host)["lost"] >= 12 // 4 - 1
    assert {n for n, outcome in host if outcome == "lost"} == made & {n for n, _ in host}
    assert cell["diagnoses"] == {"lost one-shot interrupt": cell["outcomes"]["lost"]}


@pytest.mark.thorough
def test_another_break_has_another_name(tmp_path: Path) -> None:
    """The usual suite has another such break, with its trace, in tests/lab/test_lab_witness.py."""
    (cell,) = lab_run(tmp_path / "out", "--variant=drop-timer", trials=4)["cells"]
    assert cell["outcomes"] == {"lost": 4}
    assert cell["diagnoses"] == {"timer not restored": 4}
    assert cell["verdict"] == "anomalous"


@pytest.mark.thorough
def test_which_timers_the_bug_takes(tmp_path: Path) -> None:
    """The table of docs/modes.md, in small.

    The usual suite has it by the direct test, in tests/lab/test_lab_variants.py.
    """
    modes = ["one-shot", "periodic", "tsc-deadline"]
    options = ["--variant=revert-fix", *(f"--mode={mode}" for mode in modes)]
    found = lab_run(tmp_path / "out", *options, trials=3)
    by = {cell["id"].split("/")[3]: cell for cell in found["cells"]}
    assert by.keys() == set(modes)
    assert by["one-shot"]["outcomes"] == {"lost": 3}
    assert by["one-shot"]["verdict"] == "affected"
    assert by["periodic"]["outcomes"].keys() <= {"full-period", "indistinct"}
    assert by["periodic"]["verdict"] == "clean"
    assert by["tsc-deadline"]["outcomes"].keys() <= {"immediate", "remaining", "indistinct"}
    assert by["tsc-deadline"]["verdict"] == "clean"


#: Suites, and the kernels that they have had so far. (The usual suite has the newest one by the
#: direct test, and fetches no kernel for this one alone.)
KERNELS = {"bullseye": "5.10.", "bookworm": "6.1.", "trixie": "6.12.", "forky": "7."}


@pytest.mark.long
@pytest.mark.parametrize(
    "suites",
    [["bullseye", "bookworm"], pytest.param(["trixie", "forky"], marks=pytest.mark.thorough)],
    ids=",".join,
)
def test_untouched_kernels_of_many_years_in_one_table(tmp_path: Path, suites: list[str]) -> None:
    options = [f"--kernel=debian:{suite}" for suite in suites]
    found = lab_run(tmp_path / "out", *options, trials=2)
    for cell, version in zip(found["cells"], map(KERNELS.get, suites), strict=True):
        assert cell["lab"]["version"].startswith(version)
        assert cell["lab"]["variant"] == "untouched"
        assert cell["host"]["kvm_modules"]["kvm_intel"]["enable_apicv"] == "Y"
        assert cell["exposure"]["state"] == "exposed"
        assert cell["verdict"] == "clean", cell["why"]
        # The kernels before 5.8 and those of 5.10.y start the period anew.
        first = "full-period" if version == "5.10." else "immediate"
        assert cell["outcomes"].keys() <= {first, "indistinct"}
    assert found["verdict"] == "clean"


@pytest.mark.parametrize(
    "how", [pytest.param(signal.SIGINT, marks=pytest.mark.thorough), signal.SIGKILL]
)
def test_an_ended_run_leaves_nothing(
    tmp_path: Path, runtime_folder: Path, how: signal.Signals
) -> None:
    marker = f"lab-run-{os.getpid()}-{how}"
    running = partial(marked_processes, marker)
    out = tmp_path / "out"
    environment = os.environ | {"LOSTTICK_TEST": marker}
    options = ["--kernel=debian:bookworm", "--out", str(out)]
    with started("lab", "run", *options, env=environment) as process:
        begun = wait_until(lambda: '"record":"instance"' in journal(out), 120)
        process.send_signal(how)
        process.communicate(timeout=20)
    assert begun
    assert process.returncode == (130 if how is signal.SIGINT else -how)
    assert wait_until(lambda: not running(), 10), running()
    assert wait_until(lambda: not list(runtime_folder.iterdir()), 10)


def test_a_signal_while_a_lab_boots(tmp_path: Path, runtime_folder: Path) -> None:
    marker = f"lab-boot-{os.getpid()}"
    running = partial(marked_processes, marker)
    out = tmp_path / "out"
    environment = os.environ | {"LOSTTICK_TEST": marker}
    options = ["--kernel=debian:bookworm", "--out", str(out)]
    with started("lab", "run", *options, env=environment) as process:
        assert wait_until(lambda: "bochsrc" in str(running()), 120)
        assert '"record":"host","cell"' not in journal(out)  # no lab has come up
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 5, "a signal ends a run within 5 s"
    assert process.returncode == 130, err
    assert "Traceback" not in err
    last = json.loads(journal(out).splitlines()[-1])
    assert (last["record"], last["error"]) == ("interrupted", "SIGTERM")
    assert wait_until(lambda: not running(), 10), running()
    assert wait_until(lambda: not list(runtime_folder.iterdir()), 10)


def journal(out: Path) -> str:
    path = out / "journal.jsonl"
    return path.read_text() if path.exists() else ""
