"""vCPUs of several processes get different CPUs, by seats that die with their process."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from orchestrator.host import cpu_seats
from orchestrator.host.cpu_seats import CpuSeat, take_seat
from tests.support.needs import not_applicable

#: Pins a vCPU as a run does, prints its CPU and waits.
OTHER_RUN = """
import os, sys
from orchestrator.host.cpus import Pins
pins = Pins()
print(pins.pin(os.getpid()), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def prefix() -> str:
    """Return the beginning of names that no other test or run uses."""
    return f"losttick-test/{uuid4()}"


def test_each_cpu_has_one_vcpu_before_any_has_two(prefix: str) -> None:
    seats = [take_seat([3, 2, 1], prefix) for _ in range(7)]
    assert [seat.cpu for seat in seats] == [3, 2, 1, 3, 2, 1, 3]
    seats[1].close()
    seats.append(take_seat([3, 2, 1], prefix))
    assert seats[-1].cpu == 2
    for seat in seats:
        seat.close()


def test_vcpus_beyond_the_seats_share(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_seats, "SEATS", 1)
    seats: list[CpuSeat] = [take_seat([2, 1, 0], prefix) for _ in range(5)]
    assert [seat.cpu for seat in seats] == [2, 1, 0, 0, 0]
    for seat in seats:
        seat.close()


def other_run() -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER_RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, int(process.stdout.readline())


def test_runs_on_one_host_use_different_cpus_until_they_end() -> None:
    """Even a run that is killed gives its CPU back, and leaves no file."""
    usable = set(os.sched_getaffinity(0))
    if len(usable) < 2:
        not_applicable("there is one CPU: nothing is pinned")
    runs = [other_run() for _ in usable]
    try:
        cpus = [cpu for _, cpu in runs]
        assert set(cpus) <= usable
        seats = [_seats(process.pid) for process, _ in runs]
        assert [len(held) for held in seats] == [1] * len(runs)
        names = {name for held in seats for name in held.values()}
        assert len(names) == len(runs)  # each has a seat of its own
        rows = [name.rsplit("/", 2) for name in names]
        assert {int(cpu) for _, cpu, _ in rows} == set(cpus)
    finally:
        for process, _ in runs:
            process.kill()
            process.communicate()
    assert not {socket for held in seats for socket in held} & _taken().keys()


def _seats(pid: int) -> dict[str, str]:
    """Return the seats that a process holds, by the inode of their socket."""
    links = [link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = {name.removeprefix("socket:[").rstrip("]") for name in links}
    return {socket: name for socket, name in _taken().items() if socket in sockets}


def _taken() -> dict[str, str]:
    """Return the seats that are taken on this computer, by any run."""
    fields = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return {each[6]: each[-1] for each in fields if each[-1].startswith("@losttick/cpu/")}
