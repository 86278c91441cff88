"""Outputs for CI systems, of real runs."""

import json
import os
import select
import signal
import subprocess
from pathlib import Path

import kcidb_io
import pytest
from ruamel.yaml import YAML

from orchestrator.vm.config import Accel
from tests.support.command import losttick_command, started
from tests.support.kunit import parsed
from tests.support.places import DOCS

#: A run of a second or two on an idle host.
SHORT = """
controls = 1
[axes]
accel = "{accel}"
period_ms = 20
[limits]
trials = 3
rule_out = 0.7
"""


def test_ktap_streams_while_the_run_goes_on(tmp_path: Path, kvm: Accel) -> None:
    """The line of a cell comes when it ends; after a signal the rest is complete."""
    with started(
        "run", "--accel", kvm, "--qemu", "qemu-system-x86_64", "--qemu", "/nowhere/qemu",
        "--trials", "100000", "--rule-out", "0.0001", "--out", "out", "--report", "ktap=-",
        cwd=tmp_path,
    ) as process:  # fmt: skip
        assert process.stdout
        text = ""
        while "# SKIP" not in text:
            assert select.select([process.stdout], [], [], 60)[0], text
            read = os.read(process.stdout.fileno(), 65536).decode()
            assert read, text  # the run ended
            text += read
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate()
    assert process.returncode == 130
    whole = (text + rest).encode()
    (run,) = parsed(whole)["subtests"]
    assert run["status"] == "FAILURE"
    skipped, cut = run["subtests"]
    assert skipped["name"].endswith("/qemu=/nowhere/qemu")
    assert (skipped["status"], cut["status"]) == ("SKIPPED", "FAILURE")
    assert f"{cut['name']} # ERROR interrupted" in rest


def environment(folder: Path, plan: str) -> dict[str, str]:
    """Return the variables by which a recipe finds this losttick and a plan."""
    command = folder / "losttick"
    words = " ".join(f"'{word}'" for word in losttick_command())
    command.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    command.chmod(0o755)
    (folder / "plan.toml").write_text(plan)
    return {**os.environ, "LOSTTICK": str(command), "PLAN": str(folder / "plan.toml")}


#: A run that is skipped at once.
SKIPPED = """
[axes]
accel = "{accel}"
machine = "nonsense"
"""


def commands(recipe: str) -> list[str | Path]:
    """Return what a recipe runs."""
    if recipe == "github-actions.yml":
        steps = YAML(typ="safe").load(DOCS / "ci" / recipe)["jobs"]["ticks"]["steps"]
        return ["bash", "-ec", steps[0]["run"]]
    if recipe == "gitlab-ci.yml":
        script = YAML(typ="safe").load(DOCS / "ci" / recipe)["losttick"]["script"]
        return ["bash", "-ec", "\n".join(script)]
    return [DOCS / "ci" / recipe, *(["losttick-out"] if recipe == "nightly.sh" else [])]


@pytest.mark.parametrize(
    ("recipe", "code", "ktap"),
    [
        ("github-actions.yml", 3, "losttick/results.ktap"),
        ("gitlab-ci.yml", 3, "losttick-out/results.ktap"),
        ("nightly.sh", 3, "losttick-out/results.ktap"),
        ("tmt/ticks.sh", 2, "results.ktap"),
        ("lava/ticks.sh", 0, ""),
    ],
)
def test_losttick_takes_what_a_recipe_says(
    tmp_path: Path, best_accel: Accel, recipe: str, code: int, ktap: str
) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (work := tmp_path / "work").mkdir()
    told = bin_folder / "lava-test-case"
    told.write_text(f'#!/bin/sh\necho "$@" >>"{tmp_path}/told"\n')
    told.chmod(0o755)
    done = subprocess.run(
        commands(recipe), cwd=work, capture_output=True, text=True, check=False,
        env={
            **environment(tmp_path, SKIPPED.format(accel=best_accel)),
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(work), "TMT_TEST_DATA": str(work),
        },
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    if ktap:
        (run,) = parsed((work / ktap).read_bytes())["subtests"]
        assert run["status"] == "SKIPPED"
    else:
        assert "--result skip" in (tmp_path / "told").read_text()


@pytest.mark.timeout(600)  # on a busy host the run pauses
def test_the_nightly_script_of_a_real_run(tmp_path: Path, kvm: Accel) -> None:
    results = tmp_path / "results"
    done = subprocess.run(
        [DOCS / "ci" / "nightly.sh", results], capture_output=True, text=True, check=False,
        env=environment(tmp_path, SHORT.format(accel=kvm)),
    )  # fmt: skip
    assert f"losttick: exit code {done.returncode}: " in done.stderr
    assert done.returncode in (0, 6), done.stderr  # 6: the host is busy
    status = {0: "SUCCESS", 6: "FAILURE"}[done.returncode]
    (run,) = parsed((results / "results.ktap").read_bytes())["subtests"]
    assert run["status"] == status
    submission = json.loads((results / "kcidb.json").read_bytes())
    kcidb_io.schema.LATEST.validate(submission)
    assert (results / "junit.xml").stat().st_size > 0
    assert (results / "summary.md").stat().st_size > 0
