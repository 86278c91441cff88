"""This host loses no timer interrupt when a snapshot is loaded."""

import pytest

from orchestrator.pytest_plugin import TicksSurvive


def test_ticks_survive(assert_ticks_survive: TicksSurvive) -> None:
    # 20 loads without a loss rule out loss rates above 15 %.
    assert_ticks_survive(trials=20, rule_out=0.15)


@pytest.mark.losttick(plan="timers.toml", require="apicv")
def test_every_timer_survives(assert_ticks_survive: TicksSurvive) -> None:
    result = assert_ticks_survive()
    print("\n".join(cell.cell.id for cell in result.cells))
