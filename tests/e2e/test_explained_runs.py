"""A real direct test, explained, repeated by the command of its explanation, and packed."""

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from orchestrator.vm.config import Accel

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def reproducers(losttick: Run) -> list[str]:
    """Return the commands that the explanation of the run in `out` gives a developer."""
    said = losttick("explain", "out", "--for", "developer").stdout
    return [line.strip() for line in said.splitlines() if line.startswith("    losttick ")]


def test_the_reproducer_of_a_direct_test_repeats_it(
    losttick: Run, kvm: Accel, tmp_path: Path
) -> None:
    done = losttick("probe", "--tmcct", "0", "--tmcct", "1000", "--trials", "100", "--out", "out")
    assert done.returncode == 0, done.stderr
    (line,) = reproducers(losttick)
    again = losttick(*shlex.split(line)[1:], "--json")
    assert again.returncode == 0, again.stderr
    (host,) = json.loads(again.stdout)["hosts"]
    assert [(each["tmcct_ns"], each["trials"]) for each in host["series"]] == [
        (0, 100),
        (1000, 100),
    ]
