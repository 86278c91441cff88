"""The cost of `losttick fleet plan`. Run alone on the machine: `tox -e bench`."""

import resource
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.command import losttick_command
from tests.support.cpu_time import cpu_s

pytestmark = pytest.mark.bench

HOSTS, KERNELS = 1000, 4

#: 24 cells.
PLAN = """
[axes]
mode = ["one-shot", "periodic"]
apic = ["xapic", "x2apic"]
method = ["hmp", "jobs"]
period_ms = [10, 20, 50]
"""


@pytest.mark.parametrize("options", [(), ("--json",), ("--scripts",)])
def test_many_hosts(tmp_path: Path, options: tuple[str, ...]) -> None:
    lines = ['engine = "slurm"', 'plan = "plan.toml"']
    lines += [f'[kernels.k{n}]\nrelease = "6.{n}.0"\nfeature = "k{n}"' for n in range(KERNELS)]
    lines += [f'[[hosts]]\nname = "node{n}"\nlacks = {["k1"] * (n % 2)}' for n in range(HOSTS)]
    (tmp_path / "fleet.toml").write_text("\n".join(lines))
    (tmp_path / "plan.toml").write_text(PLAN)
    began, used = time.monotonic(), cpu_s()
    done = subprocess.run(
        losttick_command("fleet", "plan", "fleet.toml", *options), cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr
    print(
        f"fleet plan {' '.join(options)}: {HOSTS:,} hosts x {KERNELS} kernels x 24 cells: "
        f"{time.monotonic() - began:.1f} s, of the CPU {cpu_s() - used:.1f} s (asked: 5), "
        f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10} MiB"
    )
