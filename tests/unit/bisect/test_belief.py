"""Probabilities of culprits: exact on small histories, and robust where the model is not."""

import numpy as np
import pytest

from orchestrator.bisect.ancestry import Ancestry
from orchestrator.bisect.belief import Belief, Counts, Seen
from orchestrator.bisect.candidate import Candidate, History
from orchestrator.bisect.rules import ALWAYS, NEVER, Find, Rules
from tests.support.simulated_bisections import line, merged

#: The end, two branches, their merge: 0 — 1 — 3, 0 — 2 — 3.
DIAMOND = History(tuple(Candidate(n) for n in "abcd"), ((), (0,), (0,), (1, 2)))


def belief(history: History, counts: dict[int, Counts], **seen: object) -> Belief:
    return Belief(Ancestry(history, Find.BREAK), Rules(), Seen(counts, **seen))  # type: ignore[arg-type]


def test_a_candidate_loses_if_the_culprit_is_its_ancestor_or_itself() -> None:
    loses = Ancestry(DIAMOND, Find.BREAK).loses(range(4))
    assert loses[:, :3].tolist() == [
        [False, False, False], [True, False, False], [False, True, False], [True, True, True],
    ]  # fmt: skip
    assert loses[:, 3].tolist() == [False] * 4
    assert loses[:, 4].tolist() == [True] * 4
    assert [Ancestry(DIAMOND, Find.BREAK).losing(h).tolist() for h in range(5)] == loses.T.tolist()


def test_a_candidate_loses_unless_the_fix_is_its_ancestor_or_itself() -> None:
    loses = Ancestry(DIAMOND, Find.FIX).loses(range(4))
    assert loses[:, :3].tolist() == [
        [True, True, True], [False, True, True], [True, False, True], [False, False, False],
    ]  # fmt: skip
    assert loses[:, 3].tolist() == [False] * 4
    assert loses[:, 4].tolist() == [True] * 4


@pytest.mark.parametrize("find", Find)
def test_ancestors_are_those_of_the_history(find: Find) -> None:
    history = merged(40, np.random.default_rng(3))
    ancestry = Ancestry(history, find)
    above: list[set[int]] = []
    for index, parents in enumerate(history.parents):
        above.append({0}.union(*({p} | above[p] for p in parents)) - ({0} if not index else set()))
    for index in range(1, 41):
        assert set(np.flatnonzero(ancestry.ancestors(index)).tolist()) == above[index]


def test_sums_are_those_of_the_matrix() -> None:
    ancestry = Ancestry(merged(1500, np.random.default_rng(4)), Find.BREAK)
    values = np.random.default_rng(5).random((ancestry.hypotheses, 3))
    every = ancestry.loses(range(ancestry.candidates)).astype(float) @ values
    np.testing.assert_allclose(ancestry.sums(values), every, rtol=1e-4)


def test_nothing_is_known_before_the_first_test() -> None:
    found = belief(line(4), {}).hypothesis
    np.testing.assert_allclose(found, [(1 - NEVER - ALWAYS) / 4] * 4 + [NEVER, ALWAYS])


def test_one_loss_decides_and_a_clean_run_does_not() -> None:
    lost = belief(line(4), {2: Counts(1, 1)}).hypothesis
    assert lost[2:4].max() < 1e-4  # the culprit is no later one
    assert lost[4] < 1e-4
    clean = belief(line(4), {2: Counts(1, 0)}).hypothesis
    assert 0.05 < clean[0] < clean[3]


def test_the_rate_is_learnt_from_what_lost() -> None:
    rare = belief(line(4), {4: Counts(300, 3), 2: Counts(20, 0)})
    frequent = belief(line(4), {4: Counts(3, 3), 2: Counts(20, 0)})
    assert rare.lost()[2] > 0.4
    assert frequent.lost()[2] < 0.02


def test_no_clean_run_rules_a_candidate_out_that_may_have_a_rate_of_its_own() -> None:
    sure = belief(line(4), {4: Counts(20, 20), 2: Counts(8, 0)}).lost()[2]
    assert 1e-4 < sure < 0.02


def test_candidates_of_one_kernel_behave_alike() -> None:
    found = belief(line(6), {6: Counts(3, 3), 2: Counts(30, 0)}, same=[(2, 3, 4)]).hypothesis
    assert found[2:4].tolist() == [0, 0]  # a change that changes no kernel is no culprit
    assert found[[4, 5]].sum() > 0.9


def test_one_kernel_at_both_ends_has_no_culprit() -> None:
    found = belief(line(3), {0: Counts(3, 3)}, same=[(0, 3)]).hypothesis
    assert found[4] == pytest.approx(1)


def test_thousands_of_loads_are_no_overflow() -> None:
    counts = {1000: Counts(10_000, 100), **{i: Counts(4000, 0) for i in range(0, 900, 30)}}
    found = belief(line(1000), counts).hypothesis
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1)


def test_hypotheses_are_told_apart_as_their_columns_are() -> None:
    ancestry = Ancestry(merged(300, np.random.default_rng(6)), Find.BREAK)
    for share in (0.02, 0.3, 1.0):
        chosen = np.random.default_rng(8).random(ancestry.candidates) < share
        columns = ancestry.loses(np.flatnonzero(chosen))
        told = ancestry.told_apart(chosen)
        groups = len(np.unique(columns, axis=1).T)
        assert len(np.unique(told)) == groups
        assert len(np.unique(np.vstack([told, columns]), axis=1).T) == groups
