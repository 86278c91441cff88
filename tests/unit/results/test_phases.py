from orchestrator.findings.outcome import Outcome
from orchestrator.results.phases import by_phase


def save_record(tag: str, phase: float, **fields: object) -> dict[str, object]:
    return {
        "record": "save", "cell": "a", "arm": "host", "eligible": True, "tag": tag,
        "phase": phase, **fields,
    }  # fmt: skip


def trial_record(save: str, outcome: str, **fields: object) -> dict[str, object]:
    return {
        "record": "trial", "cell": "a", "arm": "host", "save": save, "outcome": outcome,
        "attempt": 1, "first_tick": None, **fields,
    }  # fmt: skip


def test_outcomes_by_the_phase_of_their_save() -> None:
    found = by_phase(
        [
            {"record": "run", "seed": 1},
            save_record("save1", 0.05),
            trial_record("save1", "immediate", first_tick={"periods": 0.01}),
            trial_record("save1", "lost"),
            save_record("off", 0.5, eligible=False),
            save_record("save2", 0.55, expired=True),
            trial_record("save2", "lost"),
            save_record("save3", 0.051),
            trial_record("save3", "unknown", attempt=2),
            trial_record("save3", "unknown", attempt=3),
            save_record("save4", 1.02),
            save_record("control", 0.0, arm="control"),
            trial_record("control", "lost", arm="control"),
            {"record": "cell", "cell": "a"},
        ]
    )
    first, last, expired = found["a"]
    assert (first.low, first.high, first.saves, first.expired) == (0.0, 0.1, 2, False)
    assert first.outcomes == {Outcome.IMMEDIATE: 1, Outcome.LOST: 1, Outcome.UNKNOWN: 1}
    assert list(first.first_tick_periods) == [0.01]
    assert (last.low, last.saves, last.trials) == (0.9, 1, 0)
    assert (expired.low, expired.expired, expired.outcomes) == (0.5, True, {Outcome.LOST: 1})
