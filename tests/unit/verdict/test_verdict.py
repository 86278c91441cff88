from orchestrator.verdict.verdict import Verdict, overall


def test_the_gravest_verdict_stands_for_the_run() -> None:
    assert overall([Verdict.CLEAN, Verdict.ANOMALOUS, Verdict.SKIPPED]) is Verdict.ANOMALOUS
    assert overall([Verdict.CLEAN, Verdict.SKIPPED]) is Verdict.SKIPPED, "not all was tested"
    assert overall([Verdict.INCONCLUSIVE, Verdict.SKIPPED]) is Verdict.INCONCLUSIVE
    assert overall([]) is Verdict.SKIPPED
