"""A QEMU that does not answer as it starts: its host is busy, or it is stuck."""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cli.exits import ExitCode
from orchestrator.vm.config import Accel
from tests.support.starved import starved_process

#: What a QEMU with a guest does in place of its start.
INSTEAD = {
    "starved": "taskset -cp {cpu} $$ >/dev/null; while :; do :; done",
    "stopped": "kill -STOP $$",
    "asleep": "exec sleep 600",
}


@pytest.mark.thorough
@pytest.mark.parametrize("how", INSTEAD)
def test_only_a_qemu_that_waited_for_a_cpu_is_to_be_run_again(
    losttick: Callable[..., "subprocess.CompletedProcess[str]"],
    best_accel: Accel,
    tmp_path: Path,
    how: str,
) -> None:
    script, real = tmp_path / "qemu", shutil.which("qemu-system-x86_64")
    instead = INSTEAD[how].format(cpu=min(os.sched_getaffinity(0)))
    script.write_text(f'#!/bin/sh\ncase "$*" in *-bios*) {instead} ;; esac\nexec {real} "$@"\n')
    script.chmod(0o755)
    starved = how == "starved"
    with starved_process() if starved else contextlib.nullcontext():
        done = losttick(
            "run", "--qemu", str(script), "--accel", best_accel, "--trials", "3",
            "--rule-out", "0.7", "--command-deadline", "2", "--json",
        )  # fmt: skip
    (cell,) = json.loads(done.stdout)["cells"]
    assert cell["verdict"] == "inconclusive"
    assert "no greeting in 2 s" in cell["why"]
    assert ("QEMU's threads waited" in cell["why"]) is starved
    code = ExitCode.INCONCLUSIVE if starved else ExitCode.HARNESS
    assert done.returncode == code, done.stdout + done.stderr
