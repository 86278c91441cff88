"""How often late ticks are blamed on loads by mistake, and how often rightly.

The host's noise clusters: `tests/support/simulated_noise.py`. 100 campaigns a point, or as many
as LOSTTICK_TEST_CAMPAIGNS says; `tox -e long` runs the 10,000 of docs/statistics.md. `-s` prints.
"""

import os

import pytest
from scipy.stats import binom

from orchestrator.verdict.late import ERROR, TARGET_EXCESS
from orchestrator.verdict.verdict import Verdict
from tests.support.simulated_noise import Noise, verdicts

CAMPAIGNS = int(os.environ.get("LOSTTICK_TEST_CAMPAIGNS", "100"))

NOISE = {
    "none": Noise(),
    "1 tick in 200 is late": Noise(0.005, 0.005),
    "bursts of 20 attempts, 30% late in them": Noise(0.3, 0.001, burst=20, calm=100),
    "bursts of 100 attempts, 60% late, 5% unknown": Noise(0.6, 0.01, 100, 100, unknown=0.05),
    "always busy, 20% late": Noise(0.2, 0.2),
}


FALSE_ANOMALOUS = [
    *((name, {}) for name in NOISE if name != "none"),
    ("always busy, 20% late", {"planned": 60}),
    ("always busy, 20% late", {"planned": 20}),
    ("bursts of 20 attempts, 30% late in them", {"cells": 12}),
]


@pytest.mark.parametrize(("name", "plan"), FALSE_ANOMALOUS)
def test_false_anomalous(name: str, plan: dict[str, int]) -> None:
    found = verdicts(NOISE[name], 0.0, CAMPAIGNS, **plan)
    wrong, stated = found[Verdict.ANOMALOUS], ERROR / plan.get("cells", 1)
    inconclusive = found[Verdict.INCONCLUSIVE] / CAMPAIGNS
    print(
        f"\nfalse anomalous, {name}, {plan or 'as usual'}: {wrong / CAMPAIGNS:.2%} "
        f"(stated {stated:.2%}), inconclusive {inconclusive:.1%}"
    )
    assert wrong <= int(binom.isf(0.001, CAMPAIGNS, stated))
    assert found[Verdict.AFFECTED] == 0


#: Effects on hosts whose power is bounded below; with many campaigns others are printed, too.
POWERED = [
    (effect, name)
    for effect in (0.01, 0.05, 0.2)
    for name in list(NOISE)[0:5:2]
    if CAMPAIGNS >= 1000 or effect == 0.2 or (name == "none" and effect >= TARGET_EXCESS)
]


@pytest.mark.parametrize(("effect", "name"), POWERED)
def test_power(effect: float, name: str) -> None:
    found = verdicts(NOISE[name], effect, CAMPAIGNS)
    power = found[Verdict.ANOMALOUS] / CAMPAIGNS
    print(f"\n{effect:.0%} of loads make a tick late, {name}: anomalous in {power:.1%}")
    if name == "none" and effect >= TARGET_EXCESS:
        # As many pairs as the target takes, and in most campaigns more.
        assert power >= 0.8 - 4 * (0.16 / CAMPAIGNS) ** 0.5
    if effect == 0.2:
        assert power > 0.9
