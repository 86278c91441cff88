"""The time that an emulator really had."""

import subprocess
import time
from collections.abc import Iterator

import pytest

from orchestrator.lab.emulator import pace as module
from orchestrator.lab.emulator.pace import LONGEST, Pace
from tests.support.starved import starved_process


@pytest.fixture
def starved() -> Iterator[int]:
    """A process that shares one CPU with three others."""
    with starved_process() as pid:
        yield pid


def test_time_spent_waiting_for_a_cpu_does_not_count(starved: int) -> None:
    pace = Pace(starved)
    time.sleep(1.5)
    assert pace.wall_s >= 1.5
    assert pace.waited_s > 0.5 * pace.wall_s
    assert pace.left_s(1.5) > 0.5
    assert "waited for a CPU for" in pace.excuse()
    assert "--parallel 1" in pace.excuse()


def test_an_emulator_that_sleeps_or_is_gone_uses_up_its_time() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        pace = Pace(process.pid)
        time.sleep(0.3)
        assert pace.waited_s < 0.1
        assert pace.left_s(0.2) <= 0
        assert pace.excuse() == ""
        process.kill()
    assert pace.left_s(0.2) <= 0


def test_an_emulator_that_never_gets_a_cpu_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    pace = Pace()
    monkeypatch.setattr(Pace, "_waited_s", lambda self: now[0] - 100)  # as long as it exists
    now[0] += 10 * LONGEST - 1
    assert pace.left_s(10) == 1
    now[0] += 2
    assert pace.left_s(10) < 0


@pytest.mark.parametrize("waited_s", [1.9, 3])
def test_an_excuse_says_how_long_the_emulator_waited(
    monkeypatch: pytest.MonkeyPatch, waited_s: float
) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    pace = Pace()
    monkeypatch.setattr(Pace, "_waited_s", lambda self: waited_s)
    now[0] += 10
    assert pace.excuse() == (
        ""
        if waited_s < 2
        else " (the emulator waited for a CPU for 3 of 10 s). Run it while this "
        "computer is less busy, or with --parallel 1"
    )


def test_a_count_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    pace = Pace()
    now[0] += 5
    pace.restart(None)
    now[0] += 1
    assert pace.wall_s == 1
