"""One QEMU, or another program, in a lab."""

import asyncio
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.host.chardevs import chardev_args, console_chardev
from orchestrator.host.errors import QemuStartError
from orchestrator.host.protocol import DUMP_FILE
from orchestrator.host.thread_times import sleeps
from orchestrator.lab.host.frames import PAYLOAD_BYTES, Frame, LinkError, small_number
from orchestrator.lab.host.image import FILES
from orchestrator.lab.host.link import Link
from orchestrator.lab.host.tracer import LabTracer
from orchestrator.process.exit import ProcessExit
from orchestrator.process.output import Output

if TYPE_CHECKING:
    from orchestrator.lab.host.host import LabHost

#: The step that failed, in the error of a QEMU that did not start.
STARTING = "starting QEMU in the lab"

#: The descriptors that the agent gives a QEMU.
_QMP_FD, _CONSOLE_FD = 3, 4


#: Largest number of a process of Linux.
_MAX_PID = 1 << 22


#: Largest number of a signal of Linux.
_MAX_SIGNAL = 64


#: Bytes of standard error that are kept.
_STDERR_BYTES = 8192


#: The guest's console is a pipe to the agent, which QEMU opens once more as a file.
_CONSOLE = ("-chardev", f"file,id={console_chardev(0)},path=/proc/self/fd/{_CONSOLE_FD},append=on")


class _Sink(asyncio.Protocol):
    """The lab's end of a stream that a QEMU's user holds the other end of."""

    def __init__(self, link: Link, number: int) -> None:
        self._link, self._number = link, number

    def data_received(self, data: bytes) -> None:
        self._link.send(b"Q", self._number, data)


class LabQemu:
    """One QEMU in a lab."""

    dump_file = DUMP_FILE

    def __init__(self, lab: "LabHost", link: Link, number: int) -> None:
        self.qmp, self._qmp_theirs = socket.socketpair()
        console, self._console_theirs = socket.socketpair()
        self.consoles = [console]
        self.argv: Sequence[str] = ()
        self.pid = 0
        self._pinned = 0
        self._lab, self._link, self._number = lab, link, number
        self.tracer = LabTracer(link, number)
        self._stderr = b""
        self._to_qmp: asyncio.Transport | None = None
        self._to_console: asyncio.Transport | None = None
        self._exit: asyncio.Future[ProcessExit] = asyncio.get_running_loop().create_future()
        self._output = Output()

    async def start(self, args: Sequence[str], files: Mapping[str, bytes]) -> None:
        """Fill the folder of a QEMU and start it.

        Raises:
            QemuStartError: that failed.
        """
        loop, link, number = asyncio.get_running_loop(), self._link, self._number
        self._to_qmp, _ = await loop.create_connection(
            lambda: _Sink(link, number), sock=self._qmp_theirs
        )
        self._to_console, _ = await loop.create_connection(
            asyncio.Protocol, sock=self._console_theirs
        )
        self.argv = [
            self._lab.qemu,
            *chardev_args(_QMP_FD, []),
            *_CONSOLE,
            *args,
        ]
        self.tracer.begin()
        await self._spawn(files)

    async def run(self, command: Sequence[str]) -> None:
        """Start a program that is no QEMU; `output_lines` yields what it prints.

        Raises:
            QemuStartError: that failed.
        """
        self.argv = command
        for stream in (self._qmp_theirs, self._console_theirs):
            stream.close()
        await self._spawn({})

    async def _spawn(self, files: Mapping[str, bytes]) -> None:
        link, number = self._link, self._number
        try:
            await link.ask(b"M", number, b"")
            for name, content in files.items():
                await self._put(name.encode(), content)
            argv = b"".join(arg.encode() + b"\0" for arg in self.argv)
            self.pid = small_number(await link.ask(b"S", number, argv), 1, _MAX_PID)
        except OSError as error:
            raise QemuStartError(str(error.strerror), doing=STARTING, argv=self.argv) from error
        except LinkError as error:
            why = self._lab.trouble or error
            raise QemuStartError(
                str(why), doing=STARTING, argv=self.argv, starved=why.transient
            ) from error

    def output_lines(self) -> AsyncIterator[str]:
        """Yield each line of standard output and error, until the program has ended.

        A lab lives on while its program is silent: whoever reads the lines limits the wait.
        """
        return self._output.lines()

    async def _put(self, name: bytes, content: bytes) -> None:
        """Put a file into the folder; copy it inside the lab if the lab was booted with it."""
        digest = hashlib.sha256(content).hexdigest()
        if digest in self._lab.image.held:
            await self._link.ask(b"L", self._number, name + f"\0/{FILES}/{digest}".encode())
            return
        room = PAYLOAD_BYTES - len(name) - 1
        for start in range(0, len(content) or 1, room):
            part = content[start : start + room]
            await self._link.ask(b"W", self._number, name + b"\0" + part)

    def hear(self, frame: Frame) -> None:
        """Take a message of the agent about this program.

        Raises:
            FrameError: it is none.
        """
        if frame.kind == b"q" and self._to_qmp:
            self._to_qmp.write(frame.payload)
        elif frame.kind == b"o" and self._to_console:
            self._to_console.write(frame.payload)
        elif frame.kind == b"e":
            self._stderr = (self._stderr + frame.payload)[-_STDERR_BYTES:]
            self._output.hear(frame.payload)
        elif frame.kind == b"x":
            self.end(small_number(frame.payload, -_MAX_SIGNAL, 255))

    def end(self, code: int, why: str = "") -> None:
        """Note that the program has ended; `why` says it if the lab is the reason."""
        if not self._exit.done():
            said = why or self._stderr.decode(errors="replace")
            self._exit.set_result(ProcessExit(code, said, of_its_host=bool(why)))
        self._output.end()
        for transport in (self._to_qmp, self._to_console):
            if transport:
                transport.close()

    async def vcpu_cpu_ns(self, thread_id: int) -> int:
        """Return the CPU time of a vCPU thread; see `QemuProcess.vcpu_cpu_ns`."""
        ran, _ = await self._schedstat(thread_id)
        return ran

    async def vcpu_run_delay_ns(self, thread_id: int) -> int | None:
        """Return a vCPU thread's time on run queues; see `QemuProcess.vcpu_run_delay_ns`."""
        path = f"/proc/{self.pid}/task/{thread_id}/stat"
        try:
            stat = await self._link.ask(b"R", 0, path.encode())
        except (OSError, LinkError):
            raise ProcessLookupError(f"thread {thread_id} of QEMU {self.pid} is gone") from None
        _, waited = await self._schedstat(thread_id)
        return waited if sleeps(stat) else None

    async def _schedstat(self, thread_id: int) -> tuple[int, int]:
        path = f"/proc/{self.pid}/task/{thread_id}/schedstat"
        try:
            ran, waited, _ = map(int, (await self._link.ask(b"R", 0, path.encode())).split())
        except (OSError, LinkError, ValueError):
            raise ProcessLookupError(f"thread {thread_id} of QEMU {self.pid} is gone") from None
        return ran, waited

    async def waited_ns(self, besides: Collection[int]) -> int:
        """Return the threads' time on run queues; see `QemuProcess.waited_ns`."""
        total = 0
        try:
            names = await self._link.ask(b"D", 0, f"/proc/{self.pid}/task".encode())
        except (OSError, LinkError):
            return 0  # the process has ended
        for name in names.decode(errors="replace").split():
            if name.isdecimal() and int(name) not in besides:
                with contextlib.suppress(ProcessLookupError):
                    total += (await self._schedstat(int(name)))[1]
        return total

    async def pin(self, thread_id: int, cpu: int | None = None) -> int | None:
        """Pin a vCPU thread to a CPU of the lab, the last first, where it has more than one."""
        cpus = self._lab.cpus
        if cpus < 2:
            return None
        if cpu is None:
            cpu = cpus - 1 - self._pinned % cpus
        try:
            await self._link.ask(b"P", 0, f"{thread_id} {cpu}".encode())
        except (OSError, LinkError):
            return None
        self._pinned += 1
        return cpu

    async def read_file(self, name: str) -> bytes:
        """Return a file from the program's folder."""
        try:
            return await self._link.ask(b"R", self._number, name.encode())
        except LinkError as error:
            raise OSError(str(error)) from error

    async def exited(self) -> ProcessExit:
        """Wait until the program has ended."""
        return await asyncio.shield(self._exit)

    async def kill(self) -> ProcessExit:
        """Kill the program; the agent removes its folder."""
        if not self._exit.done():
            try:
                await self._link.ask(b"K", self._number, b"")
                async with self._link.clock.deadline(self._lab.deadlines.lab_end_ns):
                    await self.exited()
            except OSError:  # it was never started
                self.end(1, "it never ran")
            except (LinkError, TimeoutError) as error:
                self.end(1, str(self._lab.trouble or error or "it did not end when it was killed"))
        self._lab.forget(self._number)
        return await self.exited()
