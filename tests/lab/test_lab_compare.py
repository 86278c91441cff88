"""`losttick compare --run` in the lab: two kernels, or two edits of one, in turns."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.lab.kernel.names import DEFAULT_VERSION
from tests.support.arms_in_turns import blocks
from tests.support.command import started
from tests.support.needs import Need, lacking

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(3600)]


def compare(out: Path, *options: str, trials: int) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the only cell of a comparison in the lab."""
    with started(
        "compare", "--run", "--json", "--trials", str(trials), "--out", str(out), *options
    ) as process:
        stdout, stderr = process.communicate()
    assert "Traceback" not in stderr
    found = json.loads(stdout)
    if "error" in found and process.returncode == 3:
        lacking(Need.LAB, found["error"])
    assert "error" not in found, found
    (pair,) = found["comparisons"]
    (cell,) = pair["cells"]
    print(json.dumps(pair, indent=1))
    return process.returncode, cell


def test_the_reverted_kernel_is_worse_than_the_stock_one(tmp_path: Path) -> None:
    code, cell = compare(tmp_path / "out", "--variant=untouched", "--variant=revert-fix", trials=12)
    assert (code, cell["answer"]) == (1, "worse")
    assert cell["A"]["lost"] == 0
    assert cell["B"]["lost"] >= 11
    assert len(blocks(tmp_path / "out")) >= 4


def test_the_class_of_the_first_tick_tells_5_10_from_6_1(tmp_path: Path) -> None:
    code, cell = compare(
        tmp_path / "out", "--kernel=debian:bullseye", f"--kernel=debian:{DEFAULT_VERSION}",
        "--fail-on=class", trials=30,
    )  # fmt: skip
    assert code == 5
    assert cell["answer"] == "same"
    (shift,) = [each for each in cell["shifts"] if each["kind"] == "class"]
    assert shift["found"]
    assert "full-period" in shift["words"]
    assert "then immediate" in shift["words"]
    assert len(blocks(tmp_path / "out")) >= 6
