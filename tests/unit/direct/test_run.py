import pytest

from orchestrator.bugs.exposure import Exposure
from orchestrator.direct.run import ProbeResult, Series, judge
from orchestrator.stats.rate import Losses, loss_rate
from orchestrator.verdict.verdict import Verdict
from tests.support.exposures import EXPOSED, NOT_EXPOSED


def series(tmcct_ns: int, lost: int, trials: int = 100) -> Series:
    return Series(tmcct_ns, trials, lost, 0, 0, 1.0, loss_rate(Losses(trials, lost), 0.95))


@pytest.mark.parametrize(
    ("losses", "control_lost", "exposure", "verdict", "words"),
    [
        ({0: 0, 1: 0}, 5, EXPOSED, Verdict.CLEAN, "above 2.951% at each"),
        ({0: 100, 1: 100}, 5, EXPOSED, Verdict.AFFECTED, "100 of 100 at TMCCT 0 ns"),
        ({0: 0, 1: 100, 1000: 99}, 5, EXPOSED, Verdict.AFFECTED, "the narrow race"),
        ({0: 1}, 5, NOT_EXPOSED, Verdict.ANOMALOUS, "so this is not the APICv bug"),
        ({0: 0}, 4, EXPOSED, Verdict.INCONCLUSIVE, "only 4 of 5"),
    ],
)
def test_verdicts(
    losses: dict[int, int], control_lost: int, exposure: Exposure, verdict: Verdict, words: str
) -> None:
    found = ProbeResult(
        tuple(series(tmcct, lost) for tmcct, lost in losses.items()), series(0, control_lost, 5)
    )
    given, why = judge(found, exposure)
    assert given is verdict
    assert words in why
