"""Whatever comes on a console, only whole lines are heard, and no load is called lost for it."""

import asyncio
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.campaign.run import run_plan
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.lines import Line
from orchestrator.guest.tick.guest import TickFirmware
from orchestrator.guest.tick.lines import LINE, parse, render
from orchestrator.plan.load import build_plan
from orchestrator.testing import FakeClock, FakeHost, FakeQemu, FakeVcpu, Script, immediate
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from orchestrator.vm.console import Console
from orchestrator.vm.port import WINDOW_BYTES
from tests.support.fuzz import fuzzing
from tests.support.virtual_time import in_virtual_time

TICK = render("T", 7, 500, 0, 1000, 10, 8)
TESTIMONY = render("N", 1, 0x40, *([0] * 12), 0xF000, 0x34, 0)

FIELDS = st.lists(st.integers(0, 2**32 - 1), max_size=18)

#: Pieces of a console's output: whole lines of every kind, parts of lines, and noise.
PIECES = st.one_of(
    st.builds(
        lambda kind, fields, vcpu: render(kind, *fields, vcpu=vcpu),
        st.sampled_from("RTCNBP"), FIELDS, st.integers(0, 7),
    ),
    st.integers(0, len(TICK)).map(lambda size: TICK[:size]),
    st.integers(0, len(TICK)).map(lambda size: TICK[size:]),
    st.binary(max_size=80),
    st.sampled_from([TICK, b"\n", b"\r\n", b"T0 ", b"T0 0 0\n", b"\x00" * 40, b"\x1b[2J"]),
)  # fmt: skip


async def heard_on(chunks: list[bytes], vcpus: int) -> None:
    """Send chunks; hear exactly the good lines of each vCPU, in their order."""
    ours, theirs = socket.socketpair()
    console = Console([ours], FakeClock(), TickFirmware())
    with ours, theirs:
        try:
            for chunk in chunks:
                theirs.send(chunk)
                await asyncio.sleep(0)
            text = b"".join(chunks)
            good = [said for match in LINE.finditer(text) if (said := parse(match))]
            for vcpu in range(vcpus):
                wanted = [line for speaker, line in good if speaker == vcpu]
                found: list[Line] = []
                while arrived := await console.next_line(1_000_000, vcpu):
                    found.append(arrived[0])
                assert found == wanted
            assert console.received_bytes == len(text)
            (port,) = console._ports
            assert port.held_bytes <= 2 * WINDOW_BYTES
        finally:
            await console.close()


@given(chunks=st.lists(PIECES.filter(bool), max_size=12))
@example(chunks=[TICK + TICK[:9], TICK])
@example(chunks=[b"T0 " + TICK])
@example(chunks=[bytes([byte]) for byte in TICK])
@example(chunks=[render("N", 1), render("T", 1), render("B"), render("P", 1)])
@fuzzing
def test_only_whole_lines_are_heard(chunks: list[bytes]) -> None:
    in_virtual_time(lambda: heard_on(chunks, 8))


async def campaign(noise: list[bytes], where: str, number: int, wait: str) -> None:
    calls = 0

    def add_noise(qemu: FakeQemu) -> None:
        nonlocal calls
        calls += 1
        if calls >= number:
            for piece in noise:
                qemu.say(piece)

    def load(qemu: FakeQemu, vcpu: FakeVcpu, times: int) -> None:
        immediate(qemu, vcpu, times)
        if where == "load":
            add_noise(qemu)

    plan = build_plan(
        {
            "axes": {"accel": "kvm", "period_ms": 100, "wait": wait},
            "limits": {"trials": 3, "rule_out": 0.9},
            "controls": 1,
            "seed": 1,
        },
        "fuzz",
    )
    on_command = {} if where == "load" else {where: add_noise}
    with TemporaryDirectory() as out:
        (cell,) = (
            await run_plan(FakeHost(Script(load, on_command)), plan, Accel.KVM, Path(out))
        ).cells
    assert cell.counts.outcomes[Outcome.LOST] == 0, cell.why
    assert cell.verdict not in (Verdict.AFFECTED, Verdict.ANOMALOUS), cell.why


#: Bytes that no guest prints by itself: noise, parts of lines, and testimonies that nobody asked
#: for.
NOISE = st.one_of(
    st.binary(max_size=100).filter(lambda data: not LINE.search(data)),
    st.integers(0, len(TICK) - 1).map(lambda size: TICK[:size]),
    st.sampled_from([b"\n" * 50, b"T0 0 0\n", TESTIMONY, TESTIMONY * 20, b"\x00" * 40]),
)


@given(
    noise=st.lists(NOISE, min_size=1, max_size=4),
    where=st.sampled_from(["load", "stop", "cont", "savevm", "loadvm", "xp", "info"]),
    number=st.integers(1, 12),
    wait=st.sampled_from(["busy", "halt"]),
)
@example(noise=[b"T0 "], where="load", number=1, wait="busy")
@example(noise=[TESTIMONY * 200], where="cont", number=2, wait="busy")
@example(noise=[b"x" * 200_000], where="load", number=2, wait="busy")
@fuzzing
def test_noise_accuses_nobody(noise: list[bytes], where: str, number: int, wait: str) -> None:
    in_virtual_time(lambda: campaign(noise, where, number, wait))
