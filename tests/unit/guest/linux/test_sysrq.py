"""The list of timers that a Linux kernel prints, as a real one printed it."""

import pytest

from orchestrator.guest.linux.sysrq import overdue_ns

#: Of 6.1.176, with two vCPUs; lines without a meaning here are left out.
PRINTED = """
[    5.239501] sysrq: Show clockevent devices & pending hrtimers (no others)
[    5.239856] now at 5269113586 nsecs
[    5.240811]  # expires at 5280000000-5280000000 nsecs [in 10886414 to 10886414 nsecs]
[    5.243229] Tick Device: mode:     1
[    5.243275] Broadcast device
[    5.243531]  next_event:     9223372036854775807 nsecs
[    5.244116] Tick Device: mode:     1
[    5.244152] Per CPU device: 0
[    5.244404]  next_event:     5280000000 nsecs
[    5.244116] Tick Device: mode:     1
[    5.244152] Per CPU device: 1
[    5.244404]  next_event:     5260000000 nsecs
"""


@pytest.mark.parametrize(("vcpu", "expected"), [(0, -10_886_414), (1, 9_113_586), (2, None)])
def test_each_vcpu_has_its_own(vcpu: int, expected: int | None) -> None:
    assert overdue_ns(PRINTED, vcpu) == expected


@pytest.mark.parametrize("cut", ["now at", "Per CPU", "next_event"])
def test_a_list_that_lacks_something_says_nothing(cut: str) -> None:
    lines = [line for line in PRINTED.splitlines() if cut not in line]
    assert overdue_ns("\n".join(lines), 1) is None


def test_an_entry_is_not_taken_for_the_next_ones() -> None:
    assert overdue_ns(PRINTED.replace(" next_event:     5280000000 nsecs", ""), 0) is None
