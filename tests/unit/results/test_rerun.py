"""The commands that repeat a run."""

import html
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.lab.run import run as lab_run
from orchestrator.direct.hosts import HostLog, Subject, run_direct
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.series import Series
from orchestrator.journal.line import encode
from orchestrator.journal.records import LabRecord
from orchestrator.journal.trial_record import Role
from orchestrator.lab.plan import lab_plan
from orchestrator.plan.axes import Axes
from orchestrator.plan.load import build_plan, load_plan
from orchestrator.plan.plan import Plan
from orchestrator.results.explain import Reader, explain
from orchestrator.results.explanation.text import as_text
from orchestrator.results.outputs.html.output import OUTPUT
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.report import read_report
from orchestrator.results.rerun import rerun
from orchestrator.testing import FACTS
from tests.support.records import heads


def command(plan: Plan, folder: Path, labs: Mapping[str, LabIdentity] | None = None) -> str:
    records = heads(plan, seed=7)
    records += [LabRecord(cell, lab) for cell, lab in (labs or {}).items()]
    lines = (encode(each, number) for number, each in enumerate(records, 1))
    (folder / "journal.jsonl").write_bytes(b"".join(lines))
    return rerun(read_report(folder))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "losttick run --seed 7"),
        (
            {"axes": {"mode": ["periodic", "one-shot"], "phase": "0.2-0.8", "vcpus": 2,
                      "period_ms": 12.5, "memory_mib": 32, "resume": "auto",
                      "pause_before_load": "3 periods"},
             "limits": {"trials": 40, "rule_out": 0.05, "confidence": 0.99, "seconds": 60,
                        "stop_after": 2},
             "controls": 1, "require": ["kvm", "apicv"]},
            "losttick run --mode periodic --mode one-shot --period 12.5 --phase 0.2-0.8 "
            "--vcpus 2 --memory 32 --resume-by auto --pause-before-load 3periods "
            "--rule-out 0.05 --confidence 0.99 --stop-after 2 --trials 40 --seconds 60.0 "
            "--controls 1 --require kvm --require apicv --seed 7",
        ),
        (
            {"axes": {"qemu": "/opt/a b/$(qemu)", "qemu_args": "-device 'a b' -no-hpet"}},
            "losttick run --qemu '/opt/a b/$(qemu)' --qemu-arg=-device --qemu-arg='a b' "
            "--qemu-arg=-no-hpet --seed 7",
        ),
    ],
)  # fmt: skip
def test_a_run_that_options_can_express(data: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert command(build_plan(data, "test"), tmp_path) == said


@pytest.mark.parametrize(
    "data",
    [
        {"include": [{"mode": "periodic", "vcpus": [1, 2]}], "axes": {"period_ms": 20}},
        {"axes": {"vcpus": [1, 2], "mode": ["one-shot", "periodic"]},
         "exclude": [{"vcpus": 1, "mode": "one-shot"}]},
        {"accept_skips": ["method"], "axes": {"method": ["hmp", "jobs"]}},
        {"limits": {"stop_after": 3, "trials": 10}, "accept_skips": ["mode"]},
        {"axes": {"qemu_args": ["", "-device 'x\\y'"], "qemu": 'a"\U0001f600'}},
        {"axes": {"qemu": "/opt/\xa0\u202e\U000e0001/q"}},
        {"include": [{"qemu_args": f"-name 'a{number:0300}'"} for number in range(40)]},
    ],
)  # fmt: skip
def test_any_other_plan_is_written_into_a_file(data: dict[str, Any], tmp_path: Path) -> None:
    plan = build_plan(data, "test")
    said = command(plan, tmp_path)
    _, run = said.rsplit("\n", 1)
    assert run == "losttick run --plan plan.toml"
    assert plan_written_by(said, tmp_path) == plan.model_copy(update={"seed": 7})
    # As an explanation prints it.
    report = read_report(tmp_path)
    text = as_text(explain(report, Reader.DEVELOPER))
    before, after = text.split(f"    {run}", 1)
    indented = before[before.rindex("    printf") :] + f"    {run}" + after.partition("\n")[0]
    assert plan_written_by(indented, tmp_path) == plan.model_copy(update={"seed": 7})
    # As a page shows it.
    page = OUTPUT.render([report], OutputOptions(tmp_path / "x.html")).decode()
    (shown,) = re.findall(r'<pre class="command">(.*?)</pre>', page, re.DOTALL)
    assert html.unescape(shown) == said


def plan_written_by(commands: str, folder: Path) -> Plan:
    """Return the plan that commands write into a file for a run that they would start."""
    (folder / "losttick").write_text("#!/bin/sh\n")
    (folder / "losttick").chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    subprocess.run(["/bin/sh", "-euc", commands], cwd=folder, env={"PATH": path}, check=True)
    file = folder / "plan.toml"
    found = load_plan(str(file), {})
    file.unlink()
    return found


def test_a_plan_that_is_too_long_for_a_page_is_not_cut(tmp_path: Path) -> None:
    plan = build_plan({"axes": {"qemu_args": f"-name {'x' * 9000}"}}, "test")
    assert command(plan, tmp_path) == (
        f"# The plan is too long for a command. It is in {tmp_path / 'journal.jsonl'}"
    )


@pytest.mark.parametrize(
    ("confidence", "period_ns", "words"),
    [
        (0.95, 0, ""),
        (0.99, 500_000, " --confidence 0.99 --period-us 500"),
    ],
)
async def test_a_direct_test(confidence: float, period_ns: int, words: str, tmp_path: Path) -> None:
    async def count(log: HostLog) -> None:
        log.came_up(FACTS)
        log.counted(Series(0, 100, 0, 100, 20, 1.0))
        log.counted(Series(0, 5, 5, 0, 0, 1.0), Role.CONTROL)

    subjects = [Subject("this host", count)]
    await run_direct(subjects, confidence, tmp_path, period_ns=period_ns)
    assert rerun(read_report(tmp_path)) == (
        f"losttick probe --mode one-shot --tmcct 0 --trials 100{words}"
    )


def test_a_lab_run_keeps_every_axis_that_the_command_takes(tmp_path: Path) -> None:
    axes: dict[str, list[object]] = {
        "guest": ["linux"], "guest_kernel": ["debian:trixie"], "wait": ["halt"],
        "state": ["armed", "pending"], "resume": ["auto"], "method": ["exec"], "phase": ["expired"],
        "pause_before_load": ["20 periods"], "pause_before_cont": ["1 s"],
    }  # fmt: skip
    words = "--guest linux --guest-kernel debian:trixie --mode periodic"
    words += " --period 120 --method exec --wait halt --state armed --state pending"
    words += " --resume-by auto --phase expired"
    words += " --pause-before-load 20periods --pause-before-cont 1s"
    plan = lab_plan(5, modes=("periodic",), period_ms=120, axes=axes)
    first = next(iter(plan.cells(heads(plan)[2].auto))).id  # type: ignore[union-attr]
    lab = LabIdentity("debian:bookworm", "6.1.176-1", "untouched", True, "Bochs")
    said = command(plan, tmp_path, {first: lab})
    assert words in said
    options = {name.replace("resume_by", "resume") for name in signature(lab_run).parameters}
    options = {"period_ms" if name == "period" else name for name in options}
    taken = options & set(Axes.model_fields) - {"vcpus"}
    assert taken == {*axes, "mode", "period_ms"}


def test_a_lab_run(tmp_path: Path) -> None:
    plan = lab_plan(20, modes=("one-shot", "periodic"), vcpus=2, confidence=0.9)
    first, *others = (cell.id for cell in plan.cells(heads(plan)[2].auto))  # type: ignore[union-attr]
    labs = {
        first: LabIdentity("debian:bookworm", "6.1.176-1", "untouched", True, "Bochs"),
        others[0]: LabIdentity("debian:bookworm", "6.1.176-1", "partial", False, "Bochs", every=7),
    }
    lines = command(plan, tmp_path, labs).split("\n")
    assert len(lines) == 2
    shared = "--mode one-shot --mode periodic --period 120.0 --cpus 4 --vcpus 2 --trials 20"
    for line, words in zip(
        lines, ["--variant untouched", "--variant partial --every 7 --no-apicv"], strict=True
    ):
        assert line == (
            f"losttick lab run --kernel debian:bookworm {words} {shared} --confidence 0.9 --seed 7"
        )
        assert shlex.split(line)
