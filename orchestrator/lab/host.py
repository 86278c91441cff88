"""A lab as a host: QEMU runs inside it, and is driven from outside over a serial line."""

import asyncio
import contextlib
import hashlib
import secrets
import socket
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

from orchestrator.errors import LosttickError
from orchestrator.host.chardevs import chardev_args
from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.host.protocol import QemuExit, QemuStartError
from orchestrator.lab.boot import Lab, LabError
from orchestrator.lab.image import FILES, LabImage
from orchestrator.lab.link import PAYLOAD_BYTES, Frame, LabClock, Link, LinkError

#: QEMUs that the agent can run at a time.
QEMUS = 4

#: The descriptors that the agent gives a QEMU.
_QMP_FD, _CONSOLE_FD = 3, 4

#: From the start of the emulator to the agent's first word, by our clock.
BOOT_S = 180.0

#: For a QEMU in the lab to end once it is killed, by our clock.
END_S = 30.0

#: Bytes of its standard error that are kept.
_STDERR_BYTES = 8192


class _Sink(asyncio.Protocol):
    """The lab's end of a stream that a QEMU's user holds the other end of."""

    def __init__(self, link: Link, number: int) -> None:
        self._link, self._number = link, number

    def data_received(self, data: bytes) -> None:
        self._link.send(b"Q", self._number, data)


class LabQemu:
    """One QEMU in a lab."""

    tracer = None

    def __init__(self, lab: "LabHost", link: Link, number: int) -> None:
        self.qmp, self._qmp_theirs = socket.socketpair()
        console, self._console_theirs = socket.socketpair()
        self.consoles = [console]
        self.argv: Sequence[str] = ()
        self.pid = 0
        self._pinned = 0
        self._lab, self._link, self._number = lab, link, number
        self._stderr = b""
        self._to_qmp: asyncio.Transport | None = None
        self._to_console: asyncio.Transport | None = None
        self._exit: asyncio.Future[QemuExit] = asyncio.get_running_loop().create_future()

    async def start(self, args: Sequence[str], files: Mapping[str, bytes]) -> None:
        """Fill its folder and start it.

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
            *chardev_args(_QMP_FD, [_CONSOLE_FD]),
            *args,
        ]
        try:
            await link.ask(b"M", number, b"")
            for name, content in files.items():
                await self._put(name.encode(), content)
            argv = b"".join(arg.encode() + b"\0" for arg in self.argv)
            self.pid = int(await link.ask(b"S", number, argv))
        except OSError as error:
            raise QemuStartError(f"starting QEMU in the lab: {error.strerror}") from error
        except LinkError as error:
            raise QemuStartError(
                f"starting QEMU in the lab: {self._lab.trouble or error}"
            ) from error

    async def _put(self, name: bytes, content: bytes) -> None:
        """Copy what the lab was booted with, and send only the rest."""
        digest = hashlib.sha256(content).hexdigest()
        if digest in self._lab.image.held:
            await self._link.ask(b"L", self._number, name + f"\0/{FILES}/{digest}".encode())
            return
        room = PAYLOAD_BYTES - len(name) - 1
        for start in range(0, len(content) or 1, room):
            part = content[start : start + room]
            await self._link.ask(b"W", self._number, name + b"\0" + part)

    def hear(self, frame: Frame) -> None:
        """Take what the agent says of this QEMU."""
        if frame.kind == b"q" and self._to_qmp:
            self._to_qmp.write(frame.payload)
        elif frame.kind == b"o" and self._to_console:
            self._to_console.write(frame.payload)
        elif frame.kind == b"e":
            self._stderr = (self._stderr + frame.payload)[-_STDERR_BYTES:]
        elif frame.kind == b"x":
            self.end(int(frame.payload))

    def end(self, code: int, why: str = "") -> None:
        """Note its end, or that of its lab."""
        if not self._exit.done():
            self._exit.set_result(QemuExit(code, why or self._stderr.decode(errors="replace")))
        for transport in (self._to_qmp, self._to_console):
            if transport:
                transport.close()

    async def vcpu_cpu_ns(self, thread_id: int) -> int:
        """Return the CPU time of a vCPU thread; see `QemuProcess.vcpu_cpu_ns`."""
        ran, _ = await self._schedstat(thread_id)
        return ran

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
        for name in names.decode().split():
            if name.isdigit() and int(name) not in besides:
                with contextlib.suppress(ProcessLookupError):
                    total += (await self._schedstat(int(name)))[1]
        return total

    async def pin(self, thread_id: int) -> int | None:
        """Pin a vCPU thread to a CPU of the lab, the last first, where it has more than one."""
        cpus = self._lab.cpus
        if cpus < 2:
            return None
        cpu = cpus - 1 - self._pinned % cpus
        try:
            await self._link.ask(b"P", 0, f"{thread_id} {cpu}".encode())
        except (OSError, LinkError):
            return None
        self._pinned += 1
        return cpu

    async def read_file(self, name: str) -> bytes:
        """Return a file from its folder."""
        try:
            return await self._link.ask(b"R", self._number, name.encode())
        except LinkError as error:
            raise OSError(str(error)) from error

    async def exited(self) -> QemuExit:
        """Wait until it has ended."""
        return await asyncio.shield(self._exit)

    async def kill(self) -> QemuExit:
        """End it; its folder in the lab goes with it."""
        if not self._exit.done():
            try:
                await self._link.ask(b"K", self._number, b"")
                async with asyncio.timeout(END_S):
                    await self.exited()
            except OSError:  # it was never started
                self.end(1, "it never ran")
            except (LinkError, TimeoutError) as error:
                self.end(1, str(self._lab.trouble or error or "it did not end when it was killed"))
        self._lab.forget(self._number)
        return await self.exited()


class LabHost:
    """A booted lab, on which QEMU can be started."""

    def __init__(self, image: LabImage, host: HostFacts, log: BinaryIO | None = None) -> None:
        """Prepare; `booted` boots it.

        Args:
            image: what to boot.
            host: this machine's facts: those of the lab take the place of what it emulates.
            log: gets the words of the lab's serial port.
        """
        self.image = image
        self.cpus = image.cpus
        self.qemu = image.qemu
        self.trouble: LabError | None = None
        """What became of the lab, if it ended before its time."""
        self.boot_s = 0.0
        """From the start of the emulator to the agent's first word, by our clock."""
        self._lab: Lab | None = None
        self._link: Link | None = None
        self._host, self._log = host, log
        self._qemus: dict[int, LabQemu] = {}

    @property
    def clock(self) -> LabClock:
        """The lab's clock."""
        return self._connected.clock

    @property
    def _connected(self) -> Link:
        if self._link is None:
            raise QemuStartError("starting QEMU in the lab: it is not booted")
        return self._link

    @contextlib.asynccontextmanager
    async def booted(self) -> AsyncIterator["LabHost"]:
        """Boot the lab, and end it with the context.

        Raises:
            LabError: it did not come up.
        """
        loop = asyncio.get_running_loop()
        token = secrets.token_hex(8).encode()
        greeted: asyncio.Future[Link] = loop.create_future()

        def hello(link: Link, said: bytes) -> None:
            if said == token and not greeted.done():
                greeted.set_result(link)
            else:  # not our lab: another program of this machine found the port
                link.close()

        began = time.monotonic()
        server = await loop.create_server(
            lambda: Link(hello, self._hear, self._lost), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        image = self.image
        cd = await asyncio.to_thread(image.cd, token.decode())
        self._lab = lab = Lab(
            image.bochs, cd, memory_mib=image.memory_mib, cpus=image.cpus, port=port, log=self._log
        )
        serial = asyncio.create_task(self._follow(lab))
        ready = asyncio.gather(greeted, lab.described.wait())
        try:
            either: set[asyncio.Future[Any]] = {ready, serial}
            await asyncio.wait(either, timeout=BOOT_S, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                raise self.trouble or LabError(
                    f"it did not boot: its agent said nothing in {BOOT_S:g} s", lab.serial
                )
            self._link = greeted.result()
            self.boot_s = time.monotonic() - began
            yield self
        finally:
            for waiting in (serial, ready):
                waiting.cancel()
            await asyncio.gather(serial, ready, return_exceptions=True)
            if self._link:
                self._link.close()
            server.close()
            for qemu in list(self._qemus.values()):
                qemu.end(1, "its lab has ended")

    async def _follow(self, lab: Lab) -> None:
        """Read the kernel's words until the lab ends."""
        try:
            async with contextlib.aclosing(lab.lines()) as lines:
                async for _ in lines:
                    pass
            raise LabError("it ended", lab.serial)
        except LabError as error:
            self.trouble = error
        except LosttickError as error:
            self.trouble = LabError(str(error), lab.serial)
        for qemu in list(self._qemus.values()):
            qemu.end(1, str(self.trouble))

    def _hear(self, frame: Frame) -> None:
        if self._lab:
            self._lab.sign_of_life()
        if qemu := self._qemus.get(frame.qemu):
            qemu.hear(frame)

    def _lost(self, why: str) -> None:
        for qemu in list(self._qemus.values()):
            qemu.end(1, str(self.trouble or why))

    def forget(self, number: int) -> None:
        """Note that a QEMU is over."""
        self._qemus.pop(number, None)

    async def facts(self) -> HostFacts:
        """Return what the lab is."""
        lab = self._lab
        assert lab is not None
        return lab_facts(self._host, lab, self.cpus, self.image.packaged.facts)

    #: All that QEMU's guest says comes over one line, in its order.
    max_consoles = 1

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> LabQemu:
        """Start QEMU in the lab; see `Host.start_qemu`."""
        number = next((n for n in range(QEMUS) if n not in self._qemus), None)
        if number is None:
            raise QemuStartError(f"starting QEMU in the lab: it runs {QEMUS} already")
        qemu = self._qemus[number] = LabQemu(self, self._connected, number)
        try:
            await qemu.start(args, files)
        except BaseException:
            await qemu.kill()
            for stream in (qemu.qmp, *qemu.consoles):
                stream.close()
            raise
        return qemu

    async def empty_disk(self) -> bytes:
        """Return an empty qcow2 image, which the lab holds already."""
        return self.image.packaged.disk

    async def pressure_percent(self) -> float | None:
        """Return nothing: what stalls a lab is this machine, and its clock stops with it."""
        return None

    async def read_file(self, path: str) -> str:
        """Return a text file of the lab."""
        return (await self._connected.ask(b"R", 0, path.encode())).decode()


def lab_facts(host: HostFacts, lab: Lab, cpus: int, qemu: QemuFacts | None = None) -> HostFacts:
    """Return the facts of a lab: this machine's, with what it emulates in place of its own."""
    return replace(
        host,
        kernel=lab.facts.kernel,
        kernel_build=lab.facts.build,
        cpu="Bochs corei7_skylake_x",
        vendor="GenuineIntel",
        family_model_stepping="6/85/4",
        microcode=None,
        cpus=cpus,
        vmx_flags=lab.facts.vmx_flags,
        kvm_modules=lab.facts.modules,
        kvm_device="usable",
        tracefs=None,
        hypervisor=True,
        qemu=qemu,
    )
