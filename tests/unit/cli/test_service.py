"""A service manager hears how a run goes, as systemd would hear it."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.campaign.events import NO_PROGRESS
from orchestrator.cli.service import Service, as_service, service, with_status
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.load import build_plan
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel


class Manager:
    """The socket of a service manager."""

    def __init__(self, receiver: socket.socket) -> None:
        self._receiver = receiver

    def heard(self) -> list[str]:
        """Return the messages that have arrived."""
        found = []
        while True:
            try:
                found.append(self._receiver.recv(65536).decode())
            except BlockingIOError:
                return found


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@losttick/{tmp_path}"
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    service.cache_clear()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        receiver.bind(address.replace("@", "\0", 1))
        yield Manager(receiver)
    service.cache_clear()


async def test_a_service_manager_hears_of_the_run(manager: Manager) -> None:
    async with as_service():
        assert manager.heard() == ["READY=1\nSTATUS=starting"]
        assert "NOTIFY_SOCKET" not in os.environ, "QEMU is not to speak for losttick"
        await asyncio.sleep(0.2)
        alive = manager.heard()
        assert set(alive) == {"WATCHDOG=1"}
        assert len(alive) >= 2
    assert manager.heard()[-1].startswith("STOPPING=1\n")


def test_a_status_is_one_line(manager: Manager) -> None:
    (cell,) = build_plan({"axes": {"accel": "kvm"}}, "test").cells(Accel.KVM)
    progress = with_status(NO_PROGRESS)
    progress.run_begins([cell], 299)
    progress.noted("two\nlines \x1b[2J")
    progress.attempt_ends(cell, Outcome.IMMEDIATE, 7, 299)
    progress.attempt_ends(cell, Outcome.IMMEDIATE, 8, 299)
    progress.cell_ends(cell, Verdict.CLEAN, "why")
    assert manager.heard() == [
        "STATUS=1 cells of 299 trials",
        "STATUS=two lines \\x1b[2J",
        f"STATUS=0 of 1 cells done; {cell.id}: 7 of 299 trials",
        f"STATUS=1 of 1 cells done; {cell.id}: clean",
    ]


def test_a_manager_that_is_gone_or_busy_is_no_trouble(tmp_path: Path) -> None:
    for address in ("/nowhere/at/all", "x" * 200, "@" + "x" * 200, "a\0b", ""):
        Service(address).tell("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        for _ in range(1000):  # far more than the socket holds
            Service(str(tmp_path / "deaf")).tell("STATUS=" + "x" * 1000)


@pytest.mark.parametrize(
    ("usec", "pid", "watched"),
    [
        ("40000", "", True),
        ("40000", "1", False),
        ("0", "", False),
        ("x", "", False),
        ("", "", False),
    ],
)
async def test_only_who_is_watched_gives_signs_of_life(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, usec: str, pid: str, *, watched: bool
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    service.cache_clear()
    async with as_service():
        await asyncio.sleep(0.05)
    assert ("WATCHDOG=1" in manager.heard()) is watched


def test_without_a_manager_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    service.cache_clear()
    assert service() == Service()
    assert with_status(NO_PROGRESS) is NO_PROGRESS
