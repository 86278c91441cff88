"""The cost of the pytest plugin for a project that does not use it: `pytest --co`, in pairs."""

import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.places import ROOT

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

PAIRS = int(os.environ.get("LOSTTICK_BENCH_PAIRS", "60"))


def others(place: Path) -> Path:
    """Make a folder with everything that is installed here, except losttick."""
    place.mkdir()
    for each in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not each.name.startswith(("losttick", "orchestrator", "__editable__")):
            (place / each.name).symlink_to(each)
    return place


def installed(place: Path) -> Path:
    """Install losttick into a folder, as pip does for a user."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        place,
        ROOT,
    ]
    subprocess.run(command, check=True)
    return place


def cost(project: Path, *places: Path) -> tuple[float, float]:
    """Return the CPU time and the wall time of one `pytest --co`, in milliseconds."""

    def cpu_s() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # pytest would compile the plugin at each start
    cpu, began = cpu_s(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-S", "-m", "pytest", "--co", "-q", "-p", "no:cacheprovider"],
        cwd=project, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return (cpu_s() - cpu) * 1e3, (time.perf_counter() - began) * 1e3


def test_collecting(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "test_nothing.py").write_text("def test_nothing(): ...\n")
    without = (others(tmp_path / "others"),)
    with_it = (*without, installed(tmp_path / "losttick"))
    for places in (without, with_it):
        cost(project, *places)  # writes the byte code
    pairs = [(cost(project, *without), cost(project, *with_it)) for _ in range(PAIRS)]
    of: dict[str, Callable[[tuple[float, float]], float]] = {
        "CPU time": lambda each: each[0], "wall time": lambda each: each[1],
    }  # fmt: skip
    for name, get in of.items():
        before = [get(pair[0]) for pair in pairs]
        more = [get(pair[1]) - get(pair[0]) for pair in pairs]
        low, middle, high = statistics.quantiles(more, n=4)
        least = min(get(pair[1]) for pair in pairs) - min(before)
        print(
            f"\npytest --co with the plugin, {name}: {middle:+.1f} ms "
            f"(median of {PAIRS} pairs; quartiles {low:+.1f} and {high:+.1f}; least with it less "
            f"least without: {least:+.1f}), on top of {statistics.median(before):.0f} ms"
        )
