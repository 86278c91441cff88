"""`losttick plan`, and plans with real QEMUs."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from orchestrator.plan.names import shipped_plans
from orchestrator.vm.config import Accel
from tests.support.needs import Need, lacking, not_applicable

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_preview_tries_each_machine(losttick: Run, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(
        '[axes]\naccel = "tcg"\nirqchip = ["on", "split"]\nmachine = ["pc", "q35", "pc-0.0"]\n'
        'phase = ["random", "expired"]\nqemu = ["qemu-system-x86_64", "no-such-qemu"]\n'
        "[limits]\ntrials = 20\nrule_out = 0.2\n"
    )
    done = losttick("plan", "show", "plan.toml", "--json")
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert len(found["cells"]) == 24
    runs = {cell["id"] for cell in found["cells"] if cell["skipped"] is None}
    assert runs == {
        "tcg/one-shot/xapic/hmp/auto/25loads",
        "tcg/one-shot/xapic/hmp/auto/25loads/machine=q35",
    }
    measured = {cell["period_ms"] for cell in found["cells"] if cell["skipped"] is None}
    assert measured <= {5, 10, 20, 50, 100}
    assert not any(cell["fails"] for cell in found["cells"])
    whys = {cell["skipped"] for cell in found["cells"]}
    for words in (
        "choice of KVM",
        "stops with the instance",
        "unsupported machine",
        "no-such-qemu",
    ):
        assert any(words in (why or "") for why in whys), whys
    assert 0 < found["expected_s"] < 60


def test_a_preview_for_people(losttick: Run) -> None:
    done = losttick("plan", "show", "quick")
    assert done.returncode == 0, done.stderr
    assert "of 12 cells would run" in done.stdout


def test_where_nothing_would_run(losttick: Run, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text('[axes]\naccel = "tcg"\nmode = "tsc-deadline"\n')
    done = losttick("plan", "show", "plan.toml")
    if "skipped" not in done.stdout:
        not_applicable("this TCG has a TSC-deadline timer")
    assert done.returncode == 3
    assert "the CPU has no TSC-deadline" in done.stdout


def test_what_plans_there_are(losttick: Run) -> None:
    done = losttick("plan", "--help")
    assert done.returncode == 0
    for name in shipped_plans():
        assert f"\n  {name} " in done.stdout
    schema = losttick("plan", "schema")
    assert json.loads(schema.stdout)["title"] == "A losttick plan"


def test_two_qemus_of_which_one_is_missing(losttick: Run, tmp_path: Path) -> None:
    """Each cell has the QEMU that it names, and says so."""
    real = shutil.which("qemu-system-x86_64")
    if real is None:
        lacking(Need.QEMU, "apt-get install qemu-system-x86")
    other = tmp_path / "other-qemu"
    other.write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    other.chmod(0o755)
    args = ("--accel", "tcg", "--period", "10", "--trials", "5", "--rule-out", "0.5")
    qemus = ("--qemu", "qemu-system-x86_64", "--qemu", str(other), "--qemu", "no-such-qemu")
    done = losttick("run", *args, *qemus, "--json")
    assert done.returncode == 3, done.stderr
    first, second, third = json.loads(done.stdout)["cells"]
    assert (first["verdict"], second["verdict"], third["verdict"]) == ("clean", "clean", "skipped")
    assert "host" not in first
    assert second["host"]["qemu"]["path"] == str(other)
    assert "'no-such-qemu' is not an executable file" in third["why"]


def test_expired_saves_are_eligible_and_told_apart(losttick: Run, kvm: Accel) -> None:
    done = losttick(
        "run", "--accel", kvm, "--phase", "expired", "--trials", "10", "--rule-out", "0.3",
        "--period", "30", "--by-phase",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", expired" in done.stdout
