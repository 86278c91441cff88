"""Hosts that get busy or idle after the first loads change no period.

The product's own rules choose the times between ticks that are compared, and compare them. 16
campaigns a row, or a tenth of what LOSTTICK_TEST_CAMPAIGNS says; `-s` prints.
"""

import os
import random

import pytest

from orchestrator.guest.config import GuestConfig
from orchestrator.trial.pace import Pace
from orchestrator.trial.quiet_gaps import quiet_gaps
from orchestrator.verdict.period_change import ERROR, Gaps, PeriodChange, period_change
from orchestrator.vm.config import Accel, InstanceConfig
from tests.support.simulated_ticks import MS, Share, Timer, ticks

IDLE = Share(50, 0)

#: Hosts on which other programs want the CPU. The last one delays interrupts as well.
BUSY = [Share(3, 3), Share(10, 10), Share(20, 20), Share(4, 16), Share(40, 8), Share(6, 6, 0.15)]

CAMPAIGNS = max(16, int(os.environ.get("LOSTTICK_TEST_CAMPAIGNS", "100")) // 10)


def gaps(timer: Timer, share: Share, rng: random.Random, guests: int, number: int) -> list[float]:
    """Return the times that are compared, of some guests with so many ticks each."""
    pace = Pace()
    pace.known_cycles = int(timer.period_ms * MS)
    mode = "periodic" if timer.reloads else "one-shot"
    guest = GuestConfig(period_ns=int(timer.period_ms * 1e6), mode=mode)
    config = InstanceConfig(Accel.KVM, guest)
    return [
        gap
        for _ in range(guests)
        for gap in quiet_gaps(ticks(timer, share, rng, number), pace, config)
    ]


def campaign(
    before: Timer, after: Timer, hosts: tuple[Share, Share], rng: random.Random
) -> PeriodChange | None:
    return period_change(
        Gaps(
            gaps(before, hosts[0], rng, guests=3, number=7),
            gaps(after, hosts[1], rng, guests=12, number=16),
            int(before.period_ms * 1e6),
        ),
        1,
    )


@pytest.mark.parametrize("reloads", [False, True])
@pytest.mark.parametrize("period_ms", [5, 60])
@pytest.mark.parametrize("busy", BUSY)
def test_a_host_that_gets_busy_or_idle_is_not_accused(
    busy: Share, period_ms: float, *, reloads: bool
) -> None:
    rng, timer = random.Random(7), Timer(period_ms, reloads)
    for hosts in ((IDLE, busy), (busy, IDLE)):
        wrong = [found for _ in range(CAMPAIGNS) if (found := campaign(timer, timer, hosts, rng))]
        print(f"\n{timer}, {hosts}: {len(wrong)} of {CAMPAIGNS} accused")
        expected = CAMPAIGNS * ERROR
        assert len(wrong) <= expected + 3 * expected**0.5, (hosts, wrong[:3])


@pytest.mark.parametrize("reloads", [False, True])
@pytest.mark.parametrize("rate", [0.95, 1.05])
@pytest.mark.parametrize("host", [IDLE, Share(10, 10), Share(40, 8)])
def test_another_period_is_found_on_a_busy_host_too(
    host: Share, rate: float, *, reloads: bool
) -> None:
    rng, timer, other = random.Random(7), Timer(20, reloads), Timer(20, reloads, rate)
    found = [campaign(timer, other, (IDLE, host), rng) for _ in range(CAMPAIGNS)]
    shown = [each.percent for each in found if each]
    assert len(shown) >= 0.9 * CAMPAIGNS
    assert shown == pytest.approx([100 * (rate - 1)] * len(shown), abs=1)
