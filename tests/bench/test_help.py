"""The cost of `losttick --help`, in starts of a bare interpreter."""

import statistics
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.bench

PAIRS = 40


def seconds(*args: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *args], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def test_help() -> None:
    ratios = [seconds("-m", "orchestrator", "--help") / seconds("-c", "pass") for _ in range(PAIRS)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"\nlosttick --help: {middle:.1f} bare interpreter starts "
        f"(median of {PAIRS} pairs; quartiles {low:.1f} and {high:.1f})"
    )
