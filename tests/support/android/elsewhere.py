"""The stand-in for the emulator in this process, with its QEMU on another host, such as a lab."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from orchestrator.android.running import Running
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.wait import Wait
from orchestrator.host.protocol import Host
from orchestrator.qmp.errors import CommandFailedError, MonitorError
from orchestrator.qmp.monitor import Monitor
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.launch import launch
from tests.support.android.emulator import MACHINE, Behaviour, StandIn


@contextlib.asynccontextmanager
async def stand_in_on(host: Host, behaviour: Behaviour, place: Path) -> AsyncIterator[Running]:
    """Run a stand-in whose QEMU is on a host; give it as a running emulator."""
    guest = GuestConfig(period_ns=behaviour.period_ms * 1_000_000, wait=Wait.HALT)
    config = InstanceConfig(Accel.KVM, guest, machine=MACHINE, cpu_model="qemu64,-tsc-deadline")
    async with launch(host, config) as instance, contextlib.AsyncExitStack() as ending:
        emulator = StandIn({"-avd": "phone"}, behaviour, [])
        emulator.monitor, emulator.clock = instance.monitor, host.clock

        async def hear() -> None:
            while True:
                if await instance.next_tick(60_000_000_000):
                    emulator.tick()

        hearing = asyncio.create_task(hear())
        ending.callback(hearing.cancel)
        console = await asyncio.start_server(emulator.console, "127.0.0.1", 0)
        ending.callback(console.close)
        monitor = await asyncio.start_unix_server(
            lambda reader, writer: speak_qmp(instance.monitor, reader, writer), place / "qmp"
        )
        ending.callback(monitor.close)
        port = console.sockets[0].getsockname()[1]
        yield Running("phone", os.getpid(), port, str(place / "qmp"))


async def speak_qmp(
    monitor: Monitor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Speak QMP to a client, and pass its commands on to another QEMU's monitor."""

    def say(message: dict[str, Any]) -> None:
        writer.write(json.dumps(message).encode() + b"\r\n")

    version = {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}
    say({"QMP": {"version": version, "capabilities": []}})
    while asked := await next_message(reader):
        name, tag = asked["execute"], {"id": asked["id"]} if "id" in asked else {}
        if name == "qmp_capabilities":
            say({"return": {}, **tag})
            continue
        try:
            value = await monitor.execute(name, asked.get("arguments"))
            say({"return": value, **tag})
        except CommandFailedError as error:
            say({"error": {"class": error.error_class, "desc": error.desc}, **tag})
        except MonitorError as error:
            say({"error": {"class": "GenericError", "desc": error.seen}, **tag})
        await writer.drain()
    writer.close()


async def next_message(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Return the next message, which need not end with a line's end; None at the end."""
    received = b""
    while byte := await reader.read(1):
        received += byte
        if byte == b"}":
            with contextlib.suppress(ValueError):
                message: dict[str, Any] = json.loads(received)
                return message
    return None
