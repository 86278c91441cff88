from typing import cast

import pytest

from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.guest.config import GuestConfig
from orchestrator.host.errors import QemuStartError
from orchestrator.host.qemu_binary import QemuBinary, _has_sandbox, _transports, read_qemu_facts
from orchestrator.qmp.answers import SchemaInfo
from orchestrator.qmp.monitor import Monitor
from orchestrator.testing import FakeQemu, Script
from orchestrator.testing.clock import FakeClock


def test_transports_are_read_from_the_schema() -> None:
    schema = [
        SchemaInfo("command"),
        SchemaInfo("enum", ("file", "pty", "socket")),
        SchemaInfo("enum", ("socket", "exec", "rdma", "file")),
    ]
    assert _transports(schema) == {"socket", "exec", "rdma", "file"}
    assert _transports(schema[:2]) == set()


@pytest.mark.parametrize("answer", [5, "x", [], {}, [{}], [5], {"qemu": {}}], ids=repr)
@pytest.mark.parametrize(
    "command",
    [
        "query-version", "query-commands", "query-kvm", "query-migrate-capabilities",
        "query-qmp-schema", "query-machines",
    ],
)  # fmt: skip
async def test_a_binary_that_answers_nonsense_is_no_qemu(command: str, answer: object) -> None:
    good: dict[str, object] = {
        "query-version": {"qemu": {"major": 8, "minor": 0, "micro": 4}, "package": " (v8.0.4)"},
        "query-commands": [{"name": "stop"}],
        "query-kvm": {"present": True, "enabled": False},
        "query-migrate-capabilities": [{"capability": "events", "state": False}],
        "query-qmp-schema": [{"name": "7", "meta-type": "enum", "values": ["socket", "exec"]}],
        "query-machines": [{"name": "pc-i440fx-8.0", "alias": "pc"}],
    }
    script, clock = Script(), FakeClock()

    class Binary:
        path = __file__

        async def start_qemu(self, *args: object, **kwargs: object) -> FakeQemu:
            return FakeQemu(GuestConfig(), script, [], {})

    binary = cast(QemuBinary, Binary())
    for name, value in good.items():
        script.on_command[name] = lambda qemu, value=value: value  # type: ignore[misc]
    facts = await read_qemu_facts(binary, clock, DEFAULT_DEADLINES)
    assert (facts.version, facts.machine_aliases) == ("8.0.4 (v8.0.4)", {"pc": "pc-i440fx-8.0"})
    assert facts.sandbox is False
    if answer == [] and command not in ("query-version", "query-kvm"):
        return  # an empty list is a good one
    script.on_command[command] = lambda qemu: answer
    with pytest.raises(QemuStartError, match="does not answer as QEMU does") as caught:
        await read_qemu_facts(binary, clock, DEFAULT_DEADLINES)
    assert "not understood: " in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "has"),
    [
        (["enable", "obsolete", "elevateprivileges", "spawn", "resourcecontrol"], True),
        (["enable", "obsolete"], False),  # before 2.11
        ([], False),
    ],
)
async def test_a_sandbox_is_used_if_it_has_all_parts(parts: list[str], *, has: bool) -> None:
    script, clock = Script(), FakeClock()
    option = {"option": "sandbox", "parameters": [{"name": part} for part in parts]}
    script.on_command["query-command-line-options"] = lambda qemu: [option]
    qemu = FakeQemu(GuestConfig(), script, [], {})
    monitor = await Monitor.connect(qemu.qmp, clock, DEFAULT_DEADLINES)
    try:
        assert await _has_sandbox(monitor) is has
    finally:
        await qemu.kill()
        await monitor.close()
        for stream in (qemu.qmp, *qemu.consoles):
            stream.close()


@pytest.mark.parametrize("starved", [True, False])
async def test_a_binary_that_is_late_because_it_got_no_cpu_may_answer_later(
    *, starved: bool
) -> None:
    async def never_answers(qemu: FakeQemu) -> None:
        await qemu.clock.sleep(3_600_000_000_000)

    class Binary:
        path = __file__

        async def start_qemu(self, *args: object, **kwargs: object) -> FakeQemu:
            silent = Script(on_command={"query-version": never_answers})
            qemu = FakeQemu(GuestConfig(), silent, [], {})
            qemu.frozen = starved
            return qemu

    with pytest.raises(QemuStartError) as caught:
        binary = cast(QemuBinary, Binary())
        await read_qemu_facts(binary, FakeClock(), Deadlines(command_ns=50_000_000))
    assert caught.value.transient is starved
    assert ("waited" in str(caught.value)) is starved
    assert ("does not answer as QEMU does" in str(caught.value)) is not starved
