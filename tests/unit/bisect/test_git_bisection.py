"""The share of the error that each answer of a git bisection may have."""

from pathlib import Path

import pytest

from orchestrator.bisect.git_bisection import GitBisection, git_bisection, share_of_error
from tests.support.git import commit, git, repository


@pytest.mark.parametrize("steps", [2, 5, 14])
def test_all_shares_together_stay_below_the_error(steps: int) -> None:
    shares = [share_of_error(0.05, steps, clean) for clean in range(200)]
    assert sum(shares) <= 0.05 * (1 + 1e-12)
    assert shares[: steps - 1] == [0.05 / steps] * (steps - 1)


@pytest.mark.parametrize(("commits", "steps"), [(0, 2), (1, 2), (8, 5), (1000, 11)])
def test_steps(commits: int, steps: int) -> None:
    assert GitBisection(commits, 0).steps == steps


def test_the_log_of_git_with_words_of_the_users_own(tmp_path: Path) -> None:
    place = repository(tmp_path / "tree")
    assert git_bisection(tmp_path) is None, "no repository"
    made = [commit(place, f"# bad: [{'a' * 40}] {number}") for number in range(12)]
    assert git_bisection(place) is None, "no bisection"
    git(place, "bisect", "start", "--term-old=calm", "--term-new=lossy")
    git(place, "bisect", "lossy", made[11])
    assert git_bisection(place) is None, "one end"
    git(place, "bisect", "calm", made[1])
    assert git_bisection(place) == GitBisection(commits=10, clean=0)
    git(place, "bisect", "skip")
    git(place, "bisect", "calm", made[3])
    git(place, "bisect", "lossy", made[9])
    assert git_bisection(place) == GitBisection(commits=10, clean=1)
