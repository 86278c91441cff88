"""Records KVM's tracepoints in a separate trace instance.

An instance has its own buffer and its own set of events: whoever else traces on
this host is not disturbed.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import Collection
from pathlib import Path

#: Events that show whether an interrupt was accepted and vanished, and whether APICv is in use.
#: Events that this kernel lacks are skipped.
EVENTS = (
    "kvm/kvm_apic_accept_irq",
    "kvm/kvm_apicv_accept_irq",
    "kvm/kvm_apicv_inhibit_changed",
    "kvm/kvm_hv_timer_state",
    "kvm/kvm_write_tsc_offset",
    "kvm/kvm_entry",
    "kvm/kvm_inj_virq",
    "kvm/kvm_eoi",
)

BUFFER_KB = 512

#: The beginning of a trace's first line. The names of the recorded events follow.
HEADER = "# events:"

#: A word beside the names of events: KVM posts timer interrupts from any thread, also from
#: threads that are not recorded.
POSTED_ELSEWHERE = "pi_inject_timer"

#: Marker that begins a load.
MARK_LOAD = "losttick: load"

#: Marker before `cont`.
MARK_CONT = "losttick: cont"


def find() -> Path | None:
    """Return the place where tracefs is mounted, writable and with KVM's events; else None."""
    for place in mounted("tracefs", Path("/proc/self/mounts").read_bytes()):
        if os.access(place / "instances", os.W_OK) and (place / "events" / "kvm").is_dir():
            return place
    return None


def mounted(kind: str, mounts: bytes) -> list[Path]:
    """Return the places where file systems of one kind are mounted.

    Args:
        kind: of file system.
        mounts: /proc/self/mounts. The name of a mount point, anybody's, may have any bytes but a
            NUL; the kernel writes blanks and backslashes as octal numbers.
    """
    lines = (line.split(b" ") for line in mounts.split(b"\n"))
    return [
        Path(
            os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), line[1]))
        )
        for line in lines
        if line[2:3] == [kind.encode()]
    ]


class TraceInstance:
    """One recording of KVM's events."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._events: list[str] = []
        self._marker = os.open(place / "trace_marker", os.O_WRONLY | os.O_CLOEXEC)

    @classmethod
    def create(cls, root: Path, name: str) -> "TraceInstance | None":
        """Return a new trace instance; None if the kernel refuses it."""
        place = root / "instances" / name
        try:
            place.mkdir()
        except OSError:
            return None
        try:
            (place / "buffer_size_kb").write_text(str(BUFFER_KB))
            return cls(place)
        except OSError:
            with contextlib.suppress(OSError):
                place.rmdir()
            return None

    def follow(self, pid: int) -> None:
        """Record a process that has just started, with the threads that it makes.

        A QEMU that loads as it starts has done so before anybody can ask it for its vCPU
        threads.
        """
        with contextlib.suppress(OSError):
            (self.place / "options" / "event-fork").write_text("1")
            self._record([pid])
            self.mark(MARK_LOAD)

    def watch(self, thread_ids: Collection[int]) -> None:
        """Record only these threads' KVM events from now on."""
        with contextlib.suppress(OSError):
            self._record(thread_ids)

    def _record(self, thread_ids: Collection[int]) -> None:
        (self.place / "set_event_pid").write_text(" ".join(map(str, thread_ids)))
        for event in EVENTS if not self._events else ():
            with contextlib.suppress(OSError):
                (self.place / "events" / event / "enable").write_text("1")
                self._events.append(event)

    def mark(self, text: str) -> None:
        """Write a marker into the trace."""
        with contextlib.suppress(OSError):
            os.write(self._marker, text.encode())

    async def read(self) -> str:
        """Return the trace, after a line that names the recorded events."""
        try:
            recorded = await asyncio.to_thread((self.place / "trace").read_text, errors="replace")
        except OSError as error:
            recorded = f"# it could not be read: {error.strerror}\n"
        return f"{HEADER} {' '.join([*self._events, *_posted_elsewhere()])}\n{recorded}"

    def close(self) -> None:
        """Stop recording, and remove the instance, as the supervisor would do as well."""
        if self._marker >= 0:
            os.close(self._marker)
            self._marker = -1
            with contextlib.suppress(OSError):
                self.place.rmdir()


def _posted_elsewhere() -> list[str]:
    """Return `POSTED_ELSEWHERE` if KVM runs so."""
    try:
        on = Path("/sys/module/kvm/parameters/pi_inject_timer").read_text(errors="replace").strip()
    except OSError:
        return []
    return [POSTED_ELSEWHERE] if on in ("Y", "1") else []
