"""The QMP side of a fake QEMU: it reads commands from a socket and answers them."""

import asyncio
import functools
import inspect
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.testing.vcpu import TSC_PER_NS, FakeVcpu

if TYPE_CHECKING:
    from orchestrator.testing.qemu import FakeQemu

#: The first vCPU's thread; the others follow.
FIRST_THREAD = 4242

#: From QEMU's word that a migration is done until the file is there: the shell that writes
#: the file is done later than QEMU.
FILE_LATER_NS = 100_000_000

Arguments = Mapping[str, Any]


async def messages(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """Yield the JSON objects of a stream; QMP puts no separator between them."""
    text = ""
    while data := await reader.read(4096):
        text += data.decode()
        while text := text.lstrip():
            try:
                message, end = json.JSONDecoder().raw_decode(text)
            except ValueError:
                break
            text = text[end:]
            yield message


def file_in(uri: str) -> str:
    """Return the file that a migration URI names: its last word."""
    return re.split(r"[: ]", uri)[-1]


class FakeMonitor:
    """Serves QMP on one end of a socketpair."""

    def __init__(self, stream: socket.socket, qemu: "FakeQemu") -> None:
        self._stream = stream
        self._qemu = qemu
        self._writer: asyncio.StreamWriter | None = None
        self.migration = "none"
        """The answer to `query-migrate`."""

    async def serve(self) -> None:
        """Answer commands until the peer hangs up."""
        reader, self._writer = await asyncio.open_connection(sock=self._stream)
        self.send({"QMP": {"version": {}, "capabilities": []}})
        async for message in messages(reader):
            answer = await self._answer(message["execute"], message.get("arguments", {}))
            self.send({"return": answer, "id": message.get("id")})

    def send(self, message: object) -> None:
        """Send one message."""
        self.send_raw(json.dumps(message).encode() + b"\r\n")

    def send_raw(self, data: bytes) -> None:
        """Send bytes that need not be QMP."""
        assert self._writer is not None, "nobody has connected yet"
        self._writer.write(data)

    def announce_migration(self) -> None:
        """Send the events of a migration that succeeds at once."""
        for status in ("active", "completed"):
            self.migration = status
            stamp = {"seconds": 1, "microseconds": 0}
            self.send({"event": "MIGRATION", "timestamp": stamp, "data": {"status": status}})

    def close(self) -> None:
        """Hang up."""
        if self._writer:
            self._writer.close()
        else:  # it ended before it served
            self._stream.close()

    async def closed(self) -> None:
        """Wait until the connection is closed."""
        if self._writer:
            await self._writer.wait_closed()

    async def _answer(self, name: str, arguments: Arguments) -> object:
        """Let the script act on a command; carry it out unless the script has answered it."""
        text = arguments.get("command-line", name)
        self._qemu.advance()
        answer: object = None
        for beginning, action in self._qemu.script.on_command.items():
            if text.startswith(beginning):
                answer = action(self._qemu)
                if inspect.isawaitable(answer):
                    answer = await answer
        return self._carry_out(name, text, arguments) if answer is None else answer

    def _carry_out(self, name: str, text: str, arguments: Arguments) -> object:
        qemu = self._qemu
        if name == "human-monitor-command":
            vcpu = qemu.vcpus[int(arguments.get("cpu-index", 0))]
            said = self._carry_out_hmp(text, vcpu)
            self._deliver_pending(text, [vcpu])
            return said
        self._deliver_pending(text, qemu.vcpus)
        match name:
            case "query-cpus-fast":
                return [
                    {"thread-id": FIRST_THREAD + vcpu.vcpu, "qom-path": f"/cpu[{vcpu.vcpu}]"}
                    for vcpu in qemu.vcpus
                ]
            case "qom-get":
                return int(TSC_PER_NS * 1e9)
            case "query-status":
                return {"status": qemu.state if qemu.running else "paused"}
            case "query-stats":
                return []
            case "query-migrate":
                return {"status": self.migration, "error-desc": "the fake said so"}
            case "stop":
                qemu.running = False
            case "cont":
                qemu.cont()
            case "pmemsave":
                address, size = int(arguments["val"]), int(arguments["size"])
                qemu.files[arguments["filename"]] = qemu.memory(address, size)
            case "migrate":
                put = functools.partial(qemu.files.__setitem__, file_in(arguments["uri"]))
                qemu.do_later(FILE_LATER_NS, functools.partial(put, qemu.saved_state()))
                self.announce_migration()
            case "migrate-incoming":
                qemu.load_incoming(arguments["uri"])
                self.announce_migration()
            case "inject-nmi":
                for vcpu in qemu.vcpus:
                    qemu.say(vcpu.testify(qemu.config))
        return {}

    def _carry_out_hmp(self, text: str, vcpu: FakeVcpu) -> str:
        """Return what the human monitor prints; an empty text means success."""
        qemu = self._qemu
        command, _, argument = text.partition(" ")
        match command:
            case "savevm":
                qemu.snapshots[argument] = qemu.files["disk.qcow2"] = qemu.saved_state()
            case "loadvm":
                qemu.load(qemu.snapshots[argument])
            case "xp":
                return self._dump(argument)
            case "info":
                info = vcpu.info_lapic if argument == "lapic" else vcpu.info_registers
                return info(qemu.config.state)
        return ""

    @staticmethod
    def _deliver_pending(text: str, looked_at: list[FakeVcpu]) -> None:
        """Deliver the pending interrupts for which this look is the cure."""
        for vcpu in looked_at:
            if vcpu.pending == text:
                vcpu.pending = None
                vcpu.due_ns = vcpu.ran_ns

    def _dump(self, argument: str) -> str:
        """Return words of the guest's memory as `xp` prints them, such as for `/17xw 0x1000`."""
        asked = re.fullmatch(r"/(\d+)xw 0x([0-9a-f]+)", argument)
        if asked is None:
            return f"unexpected arguments: xp {argument}"
        count, address = asked.groups()
        data = self._qemu.memory(int(address, 16), 4 * int(count))
        words = struct.unpack(f"<{count}I", data)
        return f"{address}: " + " ".join(f"0x{word:08x}" for word in words)
