"""Boots a lab, up to the first word of its agent."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.lab.emulator.boot import Lab, LabError
from orchestrator.lab.host.frames import Frame, FrameError, LinkError
from orchestrator.lab.host.host import LabHost
from orchestrator.lab.host.image import LabImage
from orchestrator.lab.host.link import Link
from orchestrator.lab.host.programs import Programs
from orchestrator.process.background import in_thread
from orchestrator.vm.tee import Tee


@contextlib.asynccontextmanager
async def boot(
    image: LabImage,
    here: HostFacts,
    log: Tee | None = None,
    deadlines: Deadlines = DEFAULT_DEADLINES,
) -> AsyncIterator[LabHost]:
    """Boot a lab, and end it with the context.

    Args:
        image: the lab.
        here: facts of the host that emulates the lab. The lab's facts are these, with what
            is emulated in place of the host's own.
        log: a file that gets the output of the lab's serial port.
        deadlines: how long each kind of step may take, in the lab's time.

    Raises:
        LabError: the lab did not come up.
        PackagesError, NoToolsError: what the lab is made of can't be had here.
    """
    loop = asyncio.get_running_loop()
    greeted, garbled = asyncio.Event(), asyncio.Event()
    programs = Programs()

    def lost(error: LinkError) -> None:
        if isinstance(error, FrameError):  # else the emulator has ended, and says more
            programs.trouble = programs.trouble or LabError(str(error), lab.serial)
            garbled.set()
        programs.trouble = programs.trouble or lab.trouble
        programs.end_all(str(error))

    def hear(frame: Frame) -> None:
        lab.sign_of_life()
        programs.hear(frame)

    began = time.monotonic()
    cd = await in_thread(image.cd)
    ours, theirs = socket.socketpair()
    lab = Lab(
        image.bochs, cd, memory_mib=image.memory_mib, cpus=image.cpus, agent=theirs, log=log,
        deadlines=deadlines,
    )  # fmt: skip
    _, link = await loop.create_connection(
        lambda: Link(greeted.set, hear, lost, deadlines, lab.excuse), sock=ours
    )
    limit_s = deadlines.lab_boot_ns / 1e9
    serial = asyncio.create_task(programs.follow(lab))
    ready = asyncio.gather(greeted.wait(), lab.described.wait())
    broken = asyncio.create_task(garbled.wait())
    try:
        either: set[asyncio.Future[Any]] = {ready, serial, broken}
        done: set[asyncio.Future[Any]] = set()
        while not done and (left_s := lab.pace.left_s(limit_s)) > 0:
            done, _ = await asyncio.wait(
                either, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
            )
        if not ready.done():
            excuse = lab.pace.excuse()
            raise programs.trouble or LabError(
                f"it did not boot: its agent said nothing in {limit_s:g} s{excuse}",
                lab.serial,
                transient=bool(excuse),
            )
        facts = lab_facts(here, lab, image.cpus, image.qemu_facts)
        boot_s = time.monotonic() - began
        yield LabHost(image, lab, link, programs, facts, boot_s, deadlines)
    finally:
        for waiting in (ready, broken) if lab.trouble else (serial, ready, broken):
            waiting.cancel()  # a lab in trouble is just being ended, which must not be cut short
        await asyncio.gather(serial, ready, broken, return_exceptions=True)
        link.close()
        theirs.close()
        programs.end_all("its lab has ended")


def lab_facts(host: HostFacts, lab: Lab, cpus: int, qemu: QemuFacts | None = None) -> HostFacts:
    """Return the facts of a lab: those of this host, with what is emulated in their place."""
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
        # The lab itself holds QEMU. A filter would take time of the emulated CPU at each call.
        qemu=replace(qemu, sandbox=False) if qemu else None,
        qemu_user="root",
        clocksource=None,  # all of its CPUs read the same TSC, which is emulated
    )
