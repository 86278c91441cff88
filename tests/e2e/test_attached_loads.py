"""Loads in a QEMU that the test starts by hand: what is seen, and that all is left as it was."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pexpect
import pytest

from orchestrator.attached import guardian
from orchestrator.attached.fitness import require_fit
from orchestrator.attached.target import socket_target
from orchestrator.attached.trials import Watching, try_loads
from orchestrator.attached.verdict import conclude
from orchestrator.bugs.exposure import exposure
from orchestrator.host.local import LocalHost
from orchestrator.look.look import Condition
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.command import losttick_command
from tests.support.ended_trials import KILLS, end_trials, heed
from tests.support.linux_guest import linux_args
from tests.support.own_qemus import OwnQemu, prepare, start_own
from tests.support.processes import marked_processes, wait_until
from tests.support.shim import shim_environment

#: Longest time for a guardian to bring the guest back.
BACK_S = 60

Start = Callable[..., OwnQemu]
Losttick = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started = []

    def run(accel: Accel, wait: str = "halt", *more: str, **options: object) -> OwnQemu:
        own = start_own(tmp_path, accel, wait, *more, **options)  # type: ignore[arg-type]
        started.append(own)
        assert wait_until(lambda: own.answers, 20)
        prepare(own)
        return own

    yield run
    for own in started:
        own.process.kill()
        own.process.wait()


def snapshots(own: OwnQemu) -> object:
    return own.state()["snapshots"]


def test_loads_leave_everything_as_it_was(
    start: Start, losttick: Losttick, best_accel: Accel
) -> None:
    own = start(best_accel)
    before = own.state()
    began = time.monotonic()
    done = losttick("attach", "--qmp", own.qmp, "--loads", "3", "--yes", "--json")
    print(f"3 loads end to end: {time.monotonic() - began:.1f} s")
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    assert found["verdict"] == "clean"
    assert (found["loads"], found["frozen"], found["saves"], found["evidence"]) == (3, 0, 1, 3)
    print(
        [each["still_ns"] / 1e9 for each in (*found["trials"]["saves"], *found["trials"]["loads"])]
    )
    assert own.state() == before
    assert own.human("loadvm before-the-upgrade") == "", "their snapshot is still whole"


@pytest.mark.thorough
def test_a_console_shows_life_under_tcg(start: Start, losttick: Losttick) -> None:
    own = start(Accel.TCG, "busy")
    before = own.state()
    console = ("--console", str(own.place / "console"), "--alive", "^T0 ")
    args = ("attach", "--qmp", own.qmp, "--loads", "2", "--yes", "--json")
    done = losttick(*args, *console)
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["frozen"] == 0
    done = losttick(*args)
    assert done.returncode == 3
    assert "shows no life that can be seen from outside" in done.stderr
    assert own.state() == before


@pytest.mark.thorough
@pytest.mark.parametrize(("work", "vcpus"), [("idle", 1), ("busy", 1), ("idle", 2)])
def test_a_real_linux(
    start: Start, losttick: Losttick, tmp_path: Path, work: str, vcpus: int
) -> None:
    """Its life shows without a console: it wakes, or arms its timer by differing numbers."""
    own = start(Accel.TCG, args=[*linux_args(tmp_path, work), "-smp", str(vcpus)])
    console = tmp_path / "console"
    assert wait_until(lambda: "alive 2" in console.read_text(errors="replace"), 100)
    before = own.state()
    done = losttick("attach", "--qmp", own.qmp, "--json")
    assert done.returncode == 0, done
    for more in ((), ("--console", str(console), "--alive", "^alive [0-9]+")):
        done = losttick("attach", "--qmp", own.qmp, "--loads", "2", "--yes", "--json", *more)
        assert done.returncode == 0, done
        found = json.loads(done.stdout)
        assert (found["loads"], found["frozen"], found["evidence"]) == (2, 0, 2)
    assert own.state() == before


@pytest.mark.parametrize("wait", ["busy", pytest.param("halt", marks=pytest.mark.thorough)])
async def test_loads_that_lose_the_timer(
    host: LocalHost, start: Start, kvm: Accel, shim: Path, tmp_path: Path, wait: str
) -> None:
    """KVM itself does not start the restored timer, on a host that is taken for one with APICv."""
    faulty = os.environ | shim_environment(shim, tmp_path / "log", "unstarted")
    own = start(kvm, wait, environment=faulty)
    before = own.state()
    facts = replace(host.facts, kvm_modules={"kvm_intel": {"enable_apicv": "Y"}})
    exposed = exposure(facts, kvm, None)
    async with socket_target(own.qmp) as target:
        await require_fit(target)
        paravirtual = Path("/sys/module/kvm_pvm").exists()
        watching = Watching(exposed, 1_000_000_000, paravirtual=paravirtual)
        trials = await try_loads(target, 2, watching, print)
    assert [each.condition for each in trials.loads] == [Condition.FROZEN_BY_BUG] * 2
    result = conclude(trials, exposed, 0.95)
    assert result.verdict is Verdict.AFFECTED
    assert (result.frozen, result.by_bug, result.unknown) == (2, 2, 0)
    assert own.state() == before


@pytest.mark.thorough
async def test_loads_that_lose_the_timer_of_one_of_two_vcpus(
    host: LocalHost, start: Start, kvm: Accel, shim: Path, tmp_path: Path
) -> None:
    faulty = shim_environment(shim, tmp_path / "log", "unstarted", vcpu=1)
    own = start(kvm, "busy", environment=os.environ | faulty, vcpus=2)
    before = own.state()
    facts = replace(host.facts, kvm_modules={"kvm_intel": {"enable_apicv": "Y"}})
    exposed = exposure(facts, kvm, None)
    paravirtual = Path("/sys/module/kvm_pvm").exists()
    async with socket_target(own.qmp) as target:
        watching = Watching(exposed, 1_000_000_000, paravirtual=paravirtual)
        trials = await try_loads(target, 2, watching, print)
    for load in trials.loads:
        assert load.condition is Condition.FROZEN_BY_BUG, load
        assert "vCPU 1:" in load.why
        assert "vCPU 0" not in load.why
    assert trials.loads[0].vcpus[0].condition is Condition.ALIVE
    assert own.state() == before


@pytest.mark.thorough
def test_loads_of_two_vcpus(start: Start, losttick: Losttick, best_accel: Accel) -> None:
    own = start(best_accel, vcpus=2)
    before = own.state()
    done = losttick("attach", "--qmp", own.qmp, "--loads", "3", "--yes", "--json")
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    assert (found["loads"], found["frozen"], found["unknown"]) == (3, 0, 0)
    assert [len(each["lapics"]) for each in found["trials"]["saves"]] == [2]
    assert own.state() == before


@pytest.mark.thorough
@pytest.mark.parametrize("fault", ["freeze:1", "mask", "forget"])
def test_loads_that_freeze_the_guest_otherwise(
    start: Start, losttick: Losttick, kvm: Accel, shim: Path, tmp_path: Path, fault: str
) -> None:
    own = start(kvm, environment=os.environ | shim_environment(shim, tmp_path / "log", fault))
    done = losttick("attach", "--qmp", own.qmp, "--loads", "1", "--yes")
    assert done.returncode == 5, done
    assert "frozen otherwise" in done.stdout
    assert "What helps" in done.stdout


def test_what_is_refused_before_anything_is_touched(
    start: Start, losttick: Losttick, best_accel: Accel, tmp_path: Path
) -> None:
    raw = tmp_path / "raw.img"
    raw.write_bytes(bytes(1 << 20))
    own = start(best_accel)
    own.human(f"drive_add dummy if=none,id=scratch,file={raw},format=raw")
    before = own.state()
    done = losttick("attach", "--qmp", own.qmp, "--loads", "1", "--yes")
    assert done.returncode == 3
    assert "the writable disk scratch" in done.stderr
    own.ask("stop")
    done = losttick("attach", "--qmp", own.qmp, "--loads", "1", "--yes")
    assert done.returncode == 3
    assert "its guest does not run (QEMU says 'paused')" in done.stderr
    assert own.state() == {**before, "status": "paused"}


@pytest.mark.thorough
def test_nobody_can_be_asked(start: Start, losttick: Losttick, best_accel: Accel) -> None:
    own = start(best_accel)
    before = own.state()
    done = losttick("attach", "--qmp", own.qmp, "--loads", "2")
    assert done.returncode == 2
    assert "is undone" in done.stderr
    assert "--yes" in done.stderr
    assert own.state() == before


def test_the_answer_of_a_person(start: Start, best_accel: Accel) -> None:
    own = start(best_accel)
    before = own.state()
    command, *args = losttick_command("attach", "--qmp", own.qmp, "--loads", "1")
    for answer, code in (("", 2), ("y", 0)):
        person = pexpect.spawn(command, args, timeout=60, encoding="utf-8", preexec_fn=heed)
        person.expect_exact("on its disks too, is undone")
        person.expect_exact("[y/N] ")
        assert own.process.poll() is None
        person.sendline(answer)
        said = person.read()
        person.close()
        assert person.exitstatus == code, said
        assert ("Nothing was touched" in said) is (code == 2)
    person = pexpect.spawn(command, args, timeout=60, encoding="utf-8", preexec_fn=heed)
    person.expect_exact("[y/N] ")
    began = time.monotonic()
    person.sendintr()
    person.read()
    person.close()
    assert person.exitstatus == 130
    assert time.monotonic() - began < 3.5, "a Ctrl-C does not wait"
    assert own.state() == before


def come_back(own: OwnQemu, before: object) -> None:
    """Wait until the guest is as it was; nobody else holds its monitor then."""

    def back() -> bool:
        with contextlib.suppress(OSError, ValueError, AssertionError):
            return own.state() == before
        return False

    assert wait_until(back, BACK_S), (own.state(), before)


@pytest.mark.timeout(120 + 30 * KILLS)
def test_losttick_is_ended_at_any_moment(start: Start, best_accel: Accel) -> None:
    own = start(best_accel)
    before = own.state()
    saw: set[str] = set()
    for number in range(KILLS):
        saw |= end_trials(number, "--qmp", own.qmp)
        come_back(own, before)
    print(*sorted(saw), sep="\n")
    assert own.human("loadvm before-the-upgrade") == ""


def kill_at(own: OwnQemu, word: bytes, before: object) -> None:
    """Kill losttick as soon as it has sent a command, which QEMU carries out all the same."""
    path = own.place / "proxy"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        process = subprocess.Popen(
            losttick_command(
                "attach", "--qmp", str(path), "--loads", "2", "--yes", "--console",
                str(own.place / "console"), "--alive", "^T0 ",
            ),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        killed = threading.Event()

        def carry(source: socket.socket, sink: socket.socket, *, watch: bool) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    sink.sendall(data)
                    if watch and word in data and not killed.is_set():
                        process.kill()
                        killed.set()
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    theirs, _ = listening.accept()
                    ours = socket.socket(socket.AF_UNIX)
                    ours.connect(own.qmp)
                    back = threading.Thread(
                        target=carry, args=(ours, theirs), kwargs={"watch": False}
                    )
                    back.start()
                    carry(theirs, ours, watch=True)
                    back.join()
                    theirs.close()
                    ours.close()

        server = threading.Thread(target=serve)
        server.start()
        assert killed.wait(60), f"losttick never sent {word!r}"
        process.wait()
        time.sleep(0.2)
        come_back(own, before)
        listening.shutdown(socket.SHUT_RDWR)
        server.join(10)


#: The commands that change something, in their order.
STEPS = (b'"stop"', b"savevm", b'"cont"', b"loadvm", b"delvm")


@pytest.mark.parametrize(
    "step", [pytest.param(each, marks=() if each == b"savevm" else pytest.mark.thorough)
             for each in STEPS], ids=lambda each: each.decode().strip('"'),
)  # fmt: skip
def test_losttick_is_killed_at_each_step(start: Start, best_accel: Accel, step: bytes) -> None:
    own = start(best_accel)
    kill_at(own, step, own.state())


@pytest.mark.thorough
async def test_a_killed_guardian_spoils_nothing(
    host: LocalHost, start: Start, best_accel: Accel, nothing_left_behind: str
) -> None:
    own = start(best_accel)
    before = own.state()

    def kill(words: str) -> None:
        if words.startswith("save"):
            (found,) = [pid for pid, line in marked_processes(nothing_left_behind).items()
                        if guardian.__file__ in line]  # fmt: skip
            os.kill(found, signal.SIGKILL)

    async with socket_target(own.qmp) as target:
        watching = Watching(exposure(host.facts, best_accel, None), 1_000_000_000)
        trials = await try_loads(target, 1, watching, kill)
    assert [load.condition for load in trials.loads] == [Condition.ALIVE]
    assert await asyncio.to_thread(own.state) == before


async def test_the_connection_is_lost(host: LocalHost, start: Start, best_accel: Accel) -> None:
    """What carries the connection ends in the middle of a save, and is there again later."""
    own = start(best_accel)
    before = own.state()
    path = own.place / "proxy"
    links: list[asyncio.StreamWriter] = []
    lost = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(own.qmp)
        links.extend((writer, ours))

        async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    sink.write(data)
                    if b"savevm" in data and not lost.is_set():
                        lost.set()
                        for link in links:
                            link.close()
                        return
            sink.close()

        await asyncio.gather(carry(reader, ours), carry(theirs, writer))

    async with await asyncio.start_unix_server(serve, path), socket_target(str(path)) as target:
        watching = Watching(exposure(host.facts, best_accel, None), 1_000_000_000)
        with pytest.raises(Exception, match="connection"):
            await try_loads(target, 1, watching)
        assert lost.is_set()
    assert await asyncio.to_thread(own.state) == before


@pytest.mark.parametrize(
    "left", [pytest.param(b"", marks=pytest.mark.thorough), b'{"execute": "sto'],
    ids=["whole", "half"],
)  # fmt: skip
def test_a_guardian_ends_a_line_that_losttick_began(
    start: Start, best_accel: Accel, left: bytes
) -> None:
    own = start(best_accel)
    before = own.state()
    name = "losttick-0"
    theirs, ours = os.pipe()
    with socket.socket(socket.AF_UNIX) as stream, stream.makefile("rw") as lines:
        stream.connect(own.qmp)
        lines.readline()
        for command in ("qmp_capabilities", "stop"):
            print(json.dumps({"execute": command}), file=lines, flush=True)
        said = {"command-line": f"savevm {name}"}
        words = {"execute": "human-monitor-command", "arguments": said, "id": 1}
        print(json.dumps(words), file=lines, flush=True)
        while '"id": 1' not in lines.readline():
            pass
        stream.sendall(left)
        argv = [sys.executable, "-I", "-S", guardian.__file__, str(theirs), name, "unix", own.qmp]
        fds = (theirs, stream.fileno())
        process = subprocess.Popen([*argv, str(stream.fileno())], pass_fds=fds)
        os.close(theirs)
    os.close(ours)
    assert process.wait(BACK_S) == 0
    assert own.state() == before
