"""Words about a host beside its tasks."""

import pytest

from orchestrator.fleet.ssh.reply import Facts
from orchestrator.fleet.ssh.visit import notes_on


def facts(time: float, kills: bool = False) -> Facts:
    return Facts(
        release="6.1", boot_id="b", time=time, uid=0, folder="/f", python="3", kills_at_logout=kills
    )


@pytest.mark.parametrize(
    ("there", "answered_at", "said"),
    [
        (1001.0, 1002.0, ""),
        (1033.0, 1002.0, "the clock of a is 32 s ahead of this computer's"),
        (101.0, 1002.0, "the clock of a is 900 s behind this computer's"),
        (1058.0, 1100.0, ""),  # the answer took long: the clock may be right
    ],
)
def test_a_wrong_clock_is_named(there: float, answered_at: float, said: str) -> None:
    assert notes_on("a", facts(there), 1000.0, answered_at) == said


def test_a_host_that_ends_runs_at_the_logout_is_named() -> None:
    assert "loginctl enable-linger" in notes_on("a", facts(1000.0, True), 1000.0, 1000.0)
