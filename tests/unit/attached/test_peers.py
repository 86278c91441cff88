"""Monitors that misbehave while losttick looks at the QEMU behind them."""

import json
from pathlib import Path

import pytest

from orchestrator.attached.errors import TakenError, TargetError
from orchestrator.attached.target import socket_target
from orchestrator.bugs.exposure import Exposure, ExposureState
from orchestrator.clock import Deadlines
from orchestrator.errors import LosttickError
from orchestrator.look.gather import look
from orchestrator.look.look import Condition, Look
from orchestrator.qmp.errors import MonitorError
from tests.support.scripted_monitor import GREETING, SOUND, peer

EXPOSED = Exposure(ExposureState.EXPOSED, "")


async def looked(
    path: Path,
    changed: dict[str, object],
    greeting: bytes = json.dumps(GREETING).encode() + b"\r\n",
) -> Look:
    deadlines = Deadlines(command_ns=500_000_000)
    async with (
        peer(path, lambda command: (SOUND | changed)[command], greeting) as qmp,
        socket_target(qmp, deadlines) as target,
    ):
        assert target.qemu.threads is None, "those threads are no threads of the peer"
        return await look(target.qemu, EXPOSED, window_ns=10_000_000, most_gap_ns=10_000_000)


async def test_a_monitor_that_shows_nothing(tmp_path: Path) -> None:
    found = await looked(tmp_path / "qmp", {})
    assert found.condition is Condition.UNKNOWN


@pytest.mark.parametrize(
    "text",
    ["\x1b[2J" * 1000, "LVTT 0xzz", "LVTT\t 0x000000ec\ninitial_count = 99\n", "x" * 10**5],
)  # fmt: skip
async def test_registers_that_are_none(tmp_path: Path, text: str) -> None:
    found = await looked(tmp_path / "qmp", {"human-monitor-command": text})
    assert found.condition is Condition.UNKNOWN


@pytest.mark.parametrize("state", ["", "\x1b[31m", "no-such-state", "x" * 10**5])
async def test_run_states_that_nobody_knows(tmp_path: Path, state: str) -> None:
    found = await looked(tmp_path / "qmp", {"query-status": {"status": state}})
    assert found.condition is Condition.UNKNOWN


@pytest.mark.parametrize(
    "changed",
    [
        {"query-cpus-fast": {}},
        {"query-cpus-fast": [{"thread-id": -1, "qom-path": "/cpu"}]},
        {"query-kvm": []},
        {"query-version": "7.2"},
        {"query-status": {"status": 7}},
        {"query-status": b"\xff\xff\n"},
        {"query-kvm": b""},
        {"human-monitor-command": b'{"return": "torn'},
    ],
)
async def test_answers_that_are_none(tmp_path: Path, changed: dict[str, object]) -> None:
    with pytest.raises(MonitorError):
        await looked(tmp_path / "qmp", changed)


@pytest.mark.parametrize(
    ("greeting", "error"),
    [(b"", TakenError), (b"SSH-2.0\r\n", TargetError), (b'{"QMP": 7}\n', TargetError)],
)
async def test_greetings_that_are_none(
    tmp_path: Path, greeting: bytes, error: type[LosttickError]
) -> None:
    with pytest.raises(error):
        await looked(tmp_path / "qmp", {}, greeting)


async def test_counters_that_are_none(tmp_path: Path) -> None:
    entry = {"provider": "kvm", "qom-path": "/cpu", "stats": [{"name": "exits", "value": [1]}]}
    assert (await looked(tmp_path / "qmp", {"query-stats": [entry]})).condition is Condition.UNKNOWN
