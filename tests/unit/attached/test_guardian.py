"""The process that takes over from losttick, and what it does with a guest."""

import pytest

from orchestrator.attached import guardian
from orchestrator.attached.guardian import Answer, bring_back

SNAPSHOT = "losttick-1"


class Qemu:
    """A QEMU that carries out losttick's last command once the guardian has looked."""

    def __init__(self, then: str) -> None:
        self.state, self.snapshots = "running", set[str]()
        self._then = then

    def execute(self, command: str, arguments: Answer, until: float) -> Answer:
        """Return the answer to a command."""
        match command:
            case "query-status":
                return {"return": {"status": self.state}}
            case "query-block":
                image = {"snapshots": [{"name": name} for name in self.snapshots]}
                return {"return": [{"inserted": {"image": image}}]}
            case "cont":
                self.state = "running"
            case "human-monitor-command":
                self.snapshots.discard(str(arguments["command-line"]).removeprefix("delvm "))
        return {"return": ""}

    def settle(self, seconds: float) -> None:
        """Carry out the command that was on its way."""
        if self._then == "stop":
            self.state = "paused"
        elif self._then == "savevm":
            self.snapshots.add(SNAPSHOT)


@pytest.mark.parametrize(
    ("then", "done"),
    [
        ("nothing", []),
        ("stop", ["continued the guest"]),
        ("savevm", ["deleted its snapshot"]),
    ],
)
def test_a_command_that_was_on_its_way_is_undone(
    then: str, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    qemu = Qemu(then)
    monkeypatch.setattr(guardian.time, "sleep", qemu.settle)
    assert bring_back(qemu, SNAPSHOT) == done
    assert (qemu.state, qemu.snapshots) == ("running", set())
