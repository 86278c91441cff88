"""A thread that sleeps is told from one that waits for a CPU."""

import os
import subprocess
import sys
import threading

import pytest

from orchestrator.host.thread_times import run_delay_ns, sleeps


@pytest.mark.parametrize(
    ("stat", "asleep"),
    [
        (b"7 (CPU 0/KVM) S 1 1", True),
        (b"7 (CPU 0/KVM) R 1 1", False),  # it runs, or waits for a CPU
        (b"7 (CPU 0/KVM) D 1 1", False),
        (b"7 (CPU 0/KVM) T 1 1", False),
        (b"7 (a) S (b)) R 1 1", False),
        (b"", False),
    ],
)
def test_the_state_of_a_thread(stat: bytes, asleep: bool) -> None:
    assert sleeps(stat) is asleep


def test_a_thread_that_runs_has_no_run_delay_to_compare() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert run_delay_ns(busy.pid, busy.pid) is None
    finally:
        busy.kill()
        busy.wait()


def test_a_thread_that_sleeps_has_one() -> None:
    done, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (ready.set(), done.wait()))
    thread.start()
    try:
        ready.wait()
        assert thread.native_id is not None
        delays = [run_delay_ns(os.getpid(), thread.native_id) for _ in range(1000)]
        assert any(delay is not None for delay in delays)
    finally:
        done.set()
        thread.join()


def test_a_thread_that_is_gone() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with pytest.raises(ProcessLookupError):
        run_delay_ns(ended.pid, ended.pid)
