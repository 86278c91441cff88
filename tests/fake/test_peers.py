"""Peers that misbehave in ways that a real QEMU can't be asked for."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from orchestrator.clock import DEFAULT_DEADLINES, Deadlines, LocalClock
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lines import Tick
from orchestrator.guest.tick.guest import TickFirmware
from orchestrator.guest.tick.lines import render
from orchestrator.process.exit import ProcessExit
from orchestrator.qmp.answers import StatusInfo
from orchestrator.qmp.errors import (
    CommandFailedError,
    MonitorClosedError,
    MonitorError,
    MonitorTimeoutError,
)
from orchestrator.qmp.monitor import Monitor
from orchestrator.snapshot.hmp import HmpSnapshots
from orchestrator.snapshot.jobs import JobSnapshots
from orchestrator.testing import FakeHost, FakeQemu, Script, immediate
from orchestrator.testing.monitor import messages
from orchestrator.trial.aim import Saver
from orchestrator.trial.limits import Limits
from orchestrator.trial.load import Trial
from orchestrator.trial.pace import Paces
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.console import Console
from orchestrator.vm.instance import Instance
from orchestrator.vm.launch import launch
from orchestrator.vm.port import WINDOW_BYTES, ConsoleClosedError

SECOND_NS = 1_000_000_000

GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\n'
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def peer() -> AsyncIterator[Callable[[Peer], Awaitable[Monitor]]]:
    """Connect a monitor to a scripted peer."""
    tasks, monitors = [], []

    async def connect(script: Peer, deadlines: Deadlines = DEFAULT_DEADLINES) -> Monitor:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=theirs)

        async def run() -> None:
            try:
                await script(reader, writer)
            finally:
                writer.close()

        tasks.append(asyncio.create_task(run()))
        try:
            monitor = await Monitor.connect(ours, LocalClock(), deadlines)
        except BaseException:
            ours.close()
            raise
        monitors.append(monitor)
        return monitor

    yield connect
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for monitor in monitors:
        await monitor.close()


async def negotiate(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> AsyncIterator[dict[str, object]]:
    writer.write(GREETING)
    stream = messages(reader)
    await anext(stream)
    writer.write(b'{"return": {}}\n')
    return stream


async def test_a_peer_that_hangs(peer: Callable[[Peer], Awaitable[Monitor]]) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await negotiate(reader, writer)
        await asyncio.Event().wait()

    monitor = await peer(script)
    with pytest.raises(MonitorTimeoutError, match=r"'query-status': no answer in 0.05 s"):
        await monitor.execute("query-status", deadline_ns=50_000_000)


async def test_a_peer_that_never_greets(peer: Callable[..., Awaitable[Monitor]]) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    with pytest.raises(MonitorTimeoutError, match=r"no greeting in 0\.05 s"):
        await peer(script, Deadlines(command_ns=50_000_000))


@pytest.mark.parametrize(
    "said",
    [b"Segmentation fault\n", b'{"return": {', b"", b"[1, 2]\n", b"\xff\xfe\x00\n", b"{}}}\n"],
)
async def test_a_peer_that_answers_garbage_or_closes_in_mid_message(
    peer: Callable[[Peer], Awaitable[Monitor]], said: bytes
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = await negotiate(reader, writer)
        await anext(stream)
        writer.write(said)

    monitor = await peer(script)
    with pytest.raises(MonitorClosedError, match="the connection is lost"):
        await monitor.execute("query-status", deadline_ns=2_000_000_000)


@pytest.mark.parametrize(
    "said",
    [
        b'{"return": {}, "id": []}',
        b'{"return": {}, "id": {"a": 1}}',
        b'{"error": 5, "id": "ID"}',
        b'{"error": {"class": 5, "desc": []}, "id": "ID"}',
        b'{"error": {"class": "GenericError"}, "id": "ID"}',
        b'{"error": {"class": "GenericError", "desc": "parse"}}',
        b'{"id": "ID"}',
        b'{"event": [], "timestamp": {}}',
        b'{"event": {}, "data": 5}',
        b'{"event": null}',
        b'{"return": ' + b"[" * 20_000 + b"]" * 20_000 + b', "id": "ID"}',
        b'{"return": ' + b"9" * 5_000 + b', "id": "ID"}',
        b'{"return": "' + b"x" * 20_000_000 + b'", "id": "ID"}',
        b'{"return": "\\ud800", "id": "ID"}',
        b'{"return": NaN, "id": "ID"}',
    ],
    ids=lambda said: said[:50].decode(),
)
async def test_a_message_that_is_json_and_no_answer(
    peer: Callable[[Peer], Awaitable[Monitor]], said: bytes
) -> None:
    """Whatever it is, the command ends in its time, with an error of the monitor."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        message = await anext(await negotiate(reader, writer))
        writer.write(said.replace(b"ID", str(message["id"]).encode()) + b"\n")
        await asyncio.Event().wait()

    monitor = await peer(script)
    with pytest.raises(MonitorError):
        await monitor.ask("query-status", StatusInfo)


async def test_a_flood_of_events_ends_no_command_late(
    peer: Callable[[Peer], Awaitable[Monitor]],
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await anext(await negotiate(reader, writer))
        while True:
            writer.write(
                b'{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 0}}\n' * 100
            )
            await asyncio.sleep(0.01)

    monitor = await peer(script)
    with pytest.raises(MonitorTimeoutError, match="no answer in 2 s"):
        await monitor.execute("query-status", deadline_ns=2_000_000_000)
    assert len(monitor.take_stops()) <= 100


async def test_garbage_instead_of_a_greeting(peer: Callable[[Peer], Awaitable[Monitor]]) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"QEMU 8.0 monitor - type 'help'\n")

    with pytest.raises(MonitorClosedError, match="Greeting"):
        await peer(script)


async def test_errors_carry_what_qemu_says(peer: Callable[[Peer], Awaitable[Monitor]]) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for message in await negotiate(reader, writer):
            answer = (
                b'"return": "Error: no disk\\r\\n"' if message["execute"] == "human-monitor-command"
                else b'"error": {"class": "GenericError", "desc": "no such thing"}'
            )  # fmt: skip
            writer.write(b'{%b, "id": "%b"}\n' % (answer, str(message["id"]).encode()))

    monitor = await peer(script)
    with pytest.raises(CommandFailedError, match=r"'query-x': QEMU says: no such thing") as failed:
        await monitor.execute("query-x", {"deep": True})
    error = failed.value
    assert (error.command, error.arguments) == ("query-x", {"deep": True})
    assert (error.error_class, error.desc) == ("GenericError", "no such thing")
    assert isinstance(error.answer, dict)
    assert error.answer["error"] == {"class": "GenericError", "desc": "no such thing"}
    with pytest.raises(
        CommandFailedError, match=r"'savevm a': QEMU says: Error: no disk$"
    ) as failed:
        await monitor.hmp_do("savevm a")
    assert failed.value.answer == "Error: no disk\r\n"


async def test_a_job_that_fails_and_one_that_never_ends(
    peer: Callable[[Peer], Awaitable[Monitor]],
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for message in await negotiate(reader, writer):
            answer = b"{}"
            if message["execute"] == "snapshot-load":
                job = message["arguments"]["job-id"]  # type: ignore[index]
                if job.endswith("-1"):
                    writer.write(
                        b'{"event": "JOB_STATUS_CHANGE", "timestamp": {"seconds": 1, '
                        b'"microseconds": 0}, "data": {"id": "%b", "status": "concluded"}}\n'
                        % job.encode()
                    )
            if message["execute"] == "query-jobs":
                answer = b'[{"id": "losttick-1", "error": "no such snapshot"}]'
            writer.write(b'{"return": %b, "id": "%b"}\n' % (answer, str(message["id"]).encode()))

    monitor = await peer(script)
    method, instance = JobSnapshots(), cast(Instance, SimpleNamespace(monitor=monitor))
    with pytest.raises(CommandFailedError, match="its job ended with: no such snapshot"):
        await method.load(instance, "tag")
    monitor.deadlines = Deadlines(state_ns=50_000_000)
    with pytest.raises(MonitorTimeoutError, match="did not conclude"):
        await method.load(instance, "tag")


async def test_events_are_not_hoarded(peer: Callable[[Peer], Awaitable[Monitor]]) -> None:
    """The library keeps every event of a session; over a night that is a leak."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for message in await negotiate(reader, writer):
            for _ in range(1000):
                writer.write(
                    b'{"event": "RESUME", "timestamp": {"seconds": 1, "microseconds": 0}}\n'
                )
            writer.write(b'{"return": {}, "id": "%b"}\n' % str(message["id"]).encode())

    monitor = await peer(script)
    await monitor.execute("cont")
    assert len(monitor._client.events.history) == 0
    assert len(monitor.log()) <= 200


@pytest.fixture
async def console() -> AsyncIterator[tuple[Console, socket.socket]]:
    ours, theirs = socket.socketpair()
    console = Console([ours], LocalClock(), TickFirmware())
    with ours, theirs:
        yield console, theirs
        await console.close()


TICK = render("T", 7, 500, 0, 1000, 10, 8)


async def test_a_console_flooded_with_noise(
    console: tuple[Console, socket.socket], tmp_path: Path
) -> None:
    """Memory stays bounded, and the one good line behind 16 MB of noise is found."""
    watched, guest = console
    guest.setblocking(False)
    loop = asyncio.get_running_loop()
    noise = (b"T 0000" + bytes(range(256)) * 15) * 4096

    async def flood() -> None:
        await loop.sock_sendall(guest, noise)
        await loop.sock_sendall(guest, b"\n" + TICK)

    sender = asyncio.create_task(flood())
    heard = await watched.next_line(20 * SECOND_NS)
    await sender
    assert heard is not None
    assert isinstance(heard[0], Tick)
    assert watched.received_bytes == len(noise) + 1 + len(TICK)
    assert watched.dropped_bytes > len(noise) / 2
    (port,) = watched._ports
    assert port.held_bytes <= WINDOW_BYTES


async def test_drained_lines_are_never_heard(console: tuple[Console, socket.socket]) -> None:
    watched, guest = console
    guest.send(TICK + TICK[:20])
    assert watched.drain() == len(TICK) + 20
    guest.send(TICK[20:])  # the tail of a line whose head is drained
    assert await watched.next_line(SECOND_NS // 20) is None
    guest.send(TICK)
    heard = await watched.next_line(SECOND_NS)
    assert heard is not None
    assert heard[0] == Tick(7, 500, 1000, 10, 8)


async def test_a_line_in_pieces_and_two_at_once(console: tuple[Console, socket.socket]) -> None:
    watched, guest = console
    for byte in TICK[:-1]:
        guest.send(bytes([byte]))
        await asyncio.sleep(0)
    assert await watched.next_line(SECOND_NS // 50) is None
    guest.send(TICK[-1:] + render("T", 8, 1, 0, 1, 1, 9))
    first, second = await watched.next_line(SECOND_NS), await watched.next_line(SECOND_NS)
    assert first is not None
    assert second is not None
    assert isinstance(first[0], Tick)
    assert isinstance(second[0], Tick)
    assert (first[0].sequence, second[0].sequence) == (7, 8)
    assert first[1] <= second[1]


async def test_a_console_that_closes_gives_what_it_had(
    console: tuple[Console, socket.socket],
) -> None:
    watched, guest = console
    guest.send(TICK)
    guest.close()
    heard = await watched.next_line(SECOND_NS)
    assert heard is not None
    with pytest.raises(ConsoleClosedError):
        await watched.next_line(SECOND_NS)
    with pytest.raises(ConsoleClosedError):
        await watched.next_line(SECOND_NS)


@pytest.mark.parametrize(
    ("command", "how"),
    [("loadvm", "raw"), ("loadvm", "exit"), ("cont", "exit"), ("stop", "raw")],
)
async def test_a_monitor_that_fails_in_a_trial_is_unknown(command: str, how: str) -> None:
    """Garbage from the peer, or its death, is never a loss."""

    def misbehave(qemu: FakeQemu) -> object:
        if not qemu.snapshots:
            return None
        if how == "raw":
            qemu.monitor.send_raw(b"!!!\n")
        else:
            qemu.end(ProcessExit(-9, ""))
        return None

    script = Script(immediate)
    host = FakeHost(script)
    limits, paces, snapshots = Limits(100_000_000), Paces(), HmpSnapshots()
    config = InstanceConfig(Accel.KVM, GuestConfig(period_ns=100_000_000))
    async with launch(host, config) as instance:
        save, _ = await Saver(instance, snapshots, paces, limits).take("save", 0.5)
        if command == "stop":
            await instance.cont()
        script.on_command[command] = misbehave
        try:
            result = await Trial(instance, snapshots, save, paces, limits).run()
        except MonitorError as error:
            pytest.fail(f"a trial raised: {error}")
        assert result.outcome is Outcome.UNKNOWN, result
        assert result.why
