"""The kernel's own test fits into the time that it is given."""

import pytest

from orchestrator.android.kernel import sized
from orchestrator.vm.config import Accel


def test_the_usual_time_on_two_cpus() -> None:
    found = sized(130, 2)
    assert found.expected_s <= 130
    assert found.most_s <= 200, "with the emulator's test, 5 minutes"
    assert found.plan.limits.rule_out <= 0.05
    assert len(found.plan.cells(Accel.KVM)) == 25, "the whole plan android"


@pytest.mark.parametrize(("within_s", "parallel"), [(60, 1), (150, 1), (600, 1), (150, 8)])
def test_more_time_or_more_cpus_rule_out_a_smaller_rate(within_s: float, parallel: int) -> None:
    more = sized(10 * within_s, parallel)
    assert more.plan.limits.rule_out < sized(within_s, parallel).plan.limits.rule_out
    assert sized(within_s, parallel + 1).expected_s <= max(
        within_s, sized(within_s, parallel).expected_s
    )


def test_however_short_the_time_is_the_largest_rate_is_tested() -> None:
    found = sized(1, 1)
    assert found.plan.limits.rule_out == 0.1
    assert found.expected_s > 1, "and the time that it takes is told"
    assert found.plan.limits.stop_after == 3, "an affected host must not take for ever"
