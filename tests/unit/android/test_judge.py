"""Two looks at a silent guest: what they show together."""

from orchestrator.android.findings import Likeness
from orchestrator.android.judge import of_looks, open_to_doubt
from orchestrator.look.look import Condition, Look, VcpuLook
from tests.support.exposures import EXPOSED

BY_BUG, OTHERWISE = Condition.FROZEN_BY_BUG, Condition.FROZEN_OTHERWISE
ALIVE, UNKNOWN = Condition.ALIVE, Condition.UNKNOWN


def seen(condition: Condition, *vcpus: Condition) -> Look:
    each = [VcpuLook(n, vcpu, "its grounds") for n, vcpu in enumerate(vcpus)]
    return Look(condition, f"the grounds of {condition}", each, (), EXPOSED, ("A caveat.",))


def test_a_first_look_that_leaves_nothing_open_decides() -> None:
    for first in (seen(BY_BUG, BY_BUG, UNKNOWN), seen(OTHERWISE, OTHERWISE), seen(ALIVE, ALIVE)):
        assert not open_to_doubt(first)
    assert of_looks(seen(BY_BUG, BY_BUG), None).likeness is Likeness.BY_BUG
    assert of_looks(seen(ALIVE, ALIVE), None).likeness is Likeness.ALIVE
    assert of_looks(seen(Condition.PAUSED, ALIVE), None).likeness is Likeness.OTHERWISE


def test_where_the_first_can_t_tell_the_silence_counts() -> None:
    first = seen(UNKNOWN, UNKNOWN)
    assert open_to_doubt(first)
    found = of_looks(first, seen(BY_BUG, BY_BUG))
    assert (found.likeness, found.why) == (
        Likeness.BY_BUG, "the grounds of frozen as by this bug. A caveat",
    )  # fmt: skip
    assert of_looks(first, seen(OTHERWISE, OTHERWISE)).likeness is Likeness.OTHERWISE
    assert of_looks(first, seen(UNKNOWN, UNKNOWN)).likeness is Likeness.UNKNOWN


def test_a_living_vcpu_beside_a_doubtful_one_is_neither_alive_nor_the_bug() -> None:
    first = seen(ALIVE, ALIVE, UNKNOWN)
    assert open_to_doubt(first)
    found = of_looks(first, seen(BY_BUG, UNKNOWN, BY_BUG))
    assert found.likeness is Likeness.UNKNOWN
    assert "may be frozen as by this bug" in found.why
    assert of_looks(first, seen(ALIVE, ALIVE, UNKNOWN)).likeness is Likeness.ALIVE
