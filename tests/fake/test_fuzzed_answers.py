"""Whatever a QEMU answers, the run ends, and its result accuses nobody."""

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.campaign.run import run_plan
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.load import build_plan
from orchestrator.qmp.errors import MonitorError
from orchestrator.qmp.monitor import Monitor
from orchestrator.testing import FakeClock, FakeHost, FakeQemu, Script, immediate
from orchestrator.testing.monitor import messages
from orchestrator.testing.script import Command
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.fuzz import VALUES, fuzzing
from tests.support.virtual_time import in_virtual_time

GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\n'


# --- the monitor alone ---


async def asked(greeting: bytes, answers: list[bytes]) -> None:
    """Connect to a peer and ask for several things; nothing but a MonitorError may come."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=theirs)

    async def peer() -> None:
        writer.write(greeting)
        said = messages(reader)
        await anext(said)
        writer.write(b'{"return": {}}\n')
        for answer in answers:
            asked = await anext(said)
            writer.write(answer.replace(b"@", json.dumps(asked.get("id")).encode()))

    answering = asyncio.create_task(peer())
    monitor = None
    try:
        with contextlib.suppress(MonitorError):
            monitor = await Monitor.connect(ours, FakeClock())
            for _ in answers:
                with contextlib.suppress(MonitorError):
                    await monitor.hmp("info registers")
                await monitor.execute("query-status")
                monitor.take_stops()
            json.dumps(monitor.log())
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        if monitor:
            await monitor.close()
        writer.close()
        ours.close()


#: Bytes in place of an answer; `@` stands for the id of the question.
ANSWERS = st.one_of(
    VALUES.map(lambda value: b'{"return": %b, "id": @}\n' % json.dumps(value).encode()),
    VALUES.map(lambda value: b'{"error": %b, "id": @}\n' % json.dumps(value).encode()),
    VALUES.map(lambda value: b'{"event": %b, "id": @}\n' % json.dumps(value).encode()),
    VALUES.map(lambda value: json.dumps(value).encode() + b"\n"),
    st.binary(max_size=60),
)


@given(
    greeting=st.just(GREETING) | st.binary(max_size=40) | ANSWERS,
    answers=st.lists(ANSWERS, max_size=4),
)
@example(greeting=GREETING, answers=[b"[" * 100_000 + b"\n"])
@example(greeting=b'{"a": ' * 100_000, answers=[])
@example(greeting=GREETING, answers=[b'{"return": {}, "id": [@]}\n'])
@example(greeting=GREETING, answers=[b'{"event": null}\n', b'{"event": "STOP", "timestamp": 1}\n'])
@example(greeting=GREETING, answers=[b'{"return": ' + b"9" * 5000 + b', "id": @}\n'])
@example(greeting=b'{"QMP": {}}\n', answers=[b'{"return": 1, "id": @}\n'])
@fuzzing
def test_a_monitor(greeting: bytes, answers: list[bytes]) -> None:
    in_virtual_time(lambda: asked(greeting, answers))


# --- a whole campaign ---

#: Commands of a campaign, as a script knows them.
COMMANDS = (
    "query-cpus-fast", "query-status", "query-stats", "query-migrate", "qom-get", "stop", "cont",
    "pmemsave", "migrate", "migrate-incoming", "migrate-set-capabilities", "inject-nmi", "savevm",
    "loadvm", "delvm", "xp", "info lapic", "info registers", "snapshot-save", "query-jobs", "",
)  # fmt: skip


_STAMP = b'"timestamp": {"seconds": 1, "microseconds": 0}'
JOB = b'{"event": "JOB_STATUS_CHANGE", ' + _STAMP + b', "data": %b}\n'
MIGRATION = b'{"event": "MIGRATION", ' + _STAMP + b"}\n"


def answering(number: int, answer: object, raw: bytes) -> Command:
    """Return an action that answers so from its call of this number on; `raw` bytes go before."""
    calls = 0

    def act(qemu: FakeQemu) -> object:
        nonlocal calls
        calls += 1
        if calls < number:
            return None
        if raw:
            qemu.monitor.send_raw(raw)
        return answer

    return act


async def campaign(on_command: dict[str, Command], method: str) -> None:
    plan = build_plan(
        {
            "axes": {"accel": "kvm", "period_ms": 100, "method": method},
            "limits": {"trials": 2, "rule_out": 0.9},
            "controls": 1,
            "seed": 1,
        },
        "fuzz",
    )
    host = FakeHost(Script(immediate, on_command))
    with TemporaryDirectory() as out:
        result = await run_plan(host, plan, Accel.KVM, Path(out))
    (cell,) = result.cells
    assert cell.counts.outcomes[Outcome.LOST] == 0, cell.why
    assert cell.verdict not in (Verdict.AFFECTED, Verdict.ANOMALOUS), cell.why
    assert all(qemu.ended for qemu in host.started)


@given(
    command=st.sampled_from(COMMANDS),
    number=st.integers(1, 12),
    answer=VALUES,
    raw=st.just(b"") | st.binary(max_size=40),
    method=st.sampled_from(["hmp", "jobs", "exec"]),
)
@example(command="query-status", number=1, answer={}, raw=b"", method="hmp")
@example(command="query-status", number=1, answer=[], raw=b"", method="hmp")
@example(command="query-status", number=1, answer="running", raw=b"", method="hmp")
@example(command="query-migrate", number=1, answer=7, raw=b"", method="exec")
@example(command="query-migrate", number=1, answer=[], raw=b"", method="exec")
@example(command="info lapic", number=1, answer={"a": 1}, raw=b"", method="hmp")
@example(command="info registers", number=1, answer=3, raw=b"", method="hmp")
@example(command="savevm", number=1, answer=["x"], raw=b"", method="hmp")
@example(command="loadvm", number=1, answer=False, raw=b"", method="hmp")
@example(command="xp", number=1, answer="00001000: 0x", raw=b"", method="hmp")
@example(command="qom-get", number=1, answer="fast", raw=b"", method="hmp")
@example(command="qom-get", number=1, answer=-1, raw=b"", method="hmp")
@example(command="qom-get", number=1, answer=10**400, raw=b"", method="hmp")
@example(command="query-stats", number=1, answer=[{}], raw=b"", method="hmp")
@example(command="snapshot-save", number=1, answer={}, raw=JOB % b"{}", method="jobs")
@example(command="snapshot-save", number=1, answer={}, raw=JOB % b"7", method="jobs")
@example(command="migrate", number=1, answer={}, raw=MIGRATION, method="exec")
@fuzzing
def test_a_campaign(command: str, number: int, answer: object, raw: bytes, method: str) -> None:
    on_command = {command: answering(number, answer, raw)}
    in_virtual_time(lambda: campaign(on_command, method))
