"""The faults: each does one thing to a running session, and undoes what lasts."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host import cpu_seats
from orchestrator.process.tool import bound_to_us
from tests.support.chaos import peer
from tests.support.chaos.place import fill
from tests.support.chaos.session import Session
from tests.support.command import losttick_command

#: Codes of a run that a fault may end: 3 and 6 without an answer, 4 where the harness failed.
UNANSWERED = frozenset({3, 4, 6})

INTERRUPTED = 130

#: Code of a session that is refused because another process goes on with its run, and what it
#: says: that process has the journal open, or has written to it since it was read.
USAGE, REFUSED = 2, ("that run still goes on, in another process", "has gone on with it since")


@dataclass(frozen=True)
class Fault:
    """A kind of fault."""

    name: str
    strike: Callable[[Session, random.Random], str | None]
    """Does it; returns a word on how, or None if there was nothing to do it to."""
    weight: int = 2
    small_disks: bool = False
    """Whether the fault needs disks that can be filled."""


def _signal(pids: list[int], number: signal.Signals) -> bool:
    """Send a signal to processes; return whether one was there to get it."""
    found = False
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            found = True
    return found


def _while(rng: random.Random) -> float:
    """Draw how long something lasts, in seconds."""
    return rng.choice([rng.uniform(0.005, 0.1), rng.uniform(0.1, 0.6), rng.uniform(0.6, 2.0)])


def _stopped(session: Session, pids: list[int], rng: random.Random) -> str | None:
    seconds = _while(rng)
    if not _signal(pids, signal.SIGSTOP):
        return None
    session.later(seconds, lambda: _signal(pids, signal.SIGCONT) and None)
    return f"{seconds:.2f} s"


def stop_qemu(session: Session, rng: random.Random) -> str | None:
    return _stopped(session, session.qemus(), rng)


def stop_supervisor(session: Session, rng: random.Random) -> str | None:
    return _stopped(session, session.supervisors(), rng)


def stop_losttick(session: Session, rng: random.Random) -> str | None:
    seconds = _while(rng)
    session.process.send_signal(signal.SIGSTOP)
    session.later(seconds, lambda: session.process.send_signal(signal.SIGCONT))
    session.passes(seconds)  # it reaches no step meanwhile
    return f"{seconds:.2f} s"


def kill_qemu(session: Session, rng: random.Random) -> str | None:
    return "" if _signal(session.qemus(), signal.SIGKILL) else None


def terminate_qemu(session: Session, rng: random.Random) -> str | None:
    return "" if _signal(session.qemus(), signal.SIGTERM) else None


def kill_supervisor(session: Session, rng: random.Random) -> str | None:
    return "" if _signal(session.supervisors(), signal.SIGKILL) else None


def kill_losttick(session: Session, rng: random.Random) -> str | None:
    session.allowed.add(-signal.SIGKILL)
    session.process.kill()
    session.ends(10)
    return ""


def kill_losttick_and_supervisor(session: Session, rng: random.Random) -> str | None:
    session.allowed.add(-signal.SIGKILL)
    supervisors = session.supervisors()
    session.process.kill()
    _signal(supervisors, signal.SIGKILL)
    session.ends(10)
    return ""


def interrupt(session: Session, rng: random.Random) -> str | None:
    how = rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    # Before losttick has its handlers, a signal ends it as the kernel ends any program.
    session.allowed |= {INTERRUPTED, -how}
    session.interrupted = session.interrupted or time.monotonic()
    session.process.send_signal(how)
    return how.name


def interrupt_beside_a_stopped_supervisor(session: Session, rng: random.Random) -> str | None:
    supervisors = session.supervisors()
    if not _signal(supervisors, signal.SIGSTOP):
        return None
    session.later(30, lambda: _signal(supervisors, signal.SIGCONT) and None)
    return interrupt(session, rng)


def hog_cpus(session: Session, rng: random.Random) -> str | None:
    count, seconds = rng.randrange(1, 7), rng.uniform(0.2, 3.0)
    command = [*bound_to_us(), "sh", "-c", "while :; do :; done"]
    hogs = [subprocess.Popen(command) for _ in range(count)]

    def end() -> None:
        for hog in hogs:
            hog.kill()
            hog.wait()

    session.later(seconds, end)
    return f"{count} for {seconds:.1f} s"


def _filled(session: Session, folder: Path, rng: random.Random) -> str:
    seconds = _while(rng)
    filler = fill(folder)
    session.later(seconds, lambda: filler.unlink(missing_ok=True))  # one may outlast another
    session.allowed |= UNANSWERED
    return f"{seconds:.2f} s"


def fill_results(session: Session, rng: random.Random) -> str | None:
    return _filled(session, session.place.results, rng)


def fill_qemus(session: Session, rng: random.Random) -> str | None:
    return _filled(session, session.place.qemus, rng)


def _said(session: Session, device: str, data: bytes) -> str | None:
    qemus = session.qemus()
    said = [peer.say(pid, device, data) for pid in qemus]
    return f"{len(data)} bytes" if any(said) else None


def noise_on_the_console(session: Session, rng: random.Random) -> str | None:
    return _said(session, "console0", peer.noise(rng))


def lines_that_nobody_asked_for(session: Session, rng: random.Random) -> str | None:
    return _said(session, "console0", peer.testimonies(rng))


def noise_on_the_monitor(session: Session, rng: random.Random) -> str | None:
    return _said(session, "qmp", peer.answer(rng))


def take_every_seat(session: Session, rng: random.Random) -> str | None:
    """Take the names by which runs agree on CPUs."""
    taken = []
    for cpu in sorted(os.sched_getaffinity(0)):
        for row in range(cpu_seats.SEATS):
            seat = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                seat.bind(f"\0{cpu_seats.PREFIX}/{cpu}/{row}")
                taken.append(seat)
            except OSError:
                seat.close()

    def free() -> None:
        for seat in taken:
            seat.close()

    session.later(_while(rng), free)
    return f"{len(taken)}"


def resume_beside_it(session: Session, rng: random.Random) -> str | None:
    """Resume the run while it goes on: refused, and the run is not disturbed."""
    place = session.place
    command = losttick_command(
        "run", "--resume", str(place.results / "out"), "--events", str(place.events)
    )
    done = None
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            command, env=place.environment, cwd=place.folder, capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip
    if session.running:
        assert done and done.returncode == USAGE, f"it was not refused: {done}"
        return ""
    # There was nothing to be refused for. If it was the first to open the journal, the session
    # was refused instead.
    if any(words in session.errors for words in REFUSED):
        session.allowed.add(USAGE)
    return None


FAULTS = (
    Fault("QEMU stopped", stop_qemu, 4),
    Fault("QEMU killed", kill_qemu, 3),
    Fault("QEMU terminated", terminate_qemu, 1),
    Fault("supervisor stopped", stop_supervisor),
    Fault("supervisor killed", kill_supervisor),
    Fault("losttick stopped", stop_losttick, 3),
    Fault("losttick killed", kill_losttick, 4),
    Fault("losttick and supervisor killed", kill_losttick_and_supervisor, 1),
    Fault("losttick interrupted", interrupt, 3),
    Fault("losttick interrupted, supervisor stopped", interrupt_beside_a_stopped_supervisor, 1),
    Fault("CPUs hogged", hog_cpus, 3),
    Fault("disk of the results full", fill_results, 2, small_disks=True),
    Fault("disk of QEMU's folders full", fill_qemus, 2, small_disks=True),
    Fault("noise on the console", noise_on_the_console, 3),
    Fault("testimonies that nobody asked for", lines_that_nobody_asked_for),
    Fault("noise on the monitor", noise_on_the_monitor, 3),
    Fault("seats on CPUs taken", take_every_seat, 1),
    Fault("resumed beside itself", resume_beside_it, 1),
)


def draw(rng: random.Random, *, small_disks: bool) -> Fault:
    """Draw a fault."""
    able = [fault for fault in FAULTS if small_disks or not fault.small_disks]
    return rng.choices(able, [fault.weight for fault in able])[0]
