"""What `git bisect` says of itself: how many steps there are, and how many commits were clean."""

import re
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.lab.kernel.repository import Repository, RepositoryError
from orchestrator.process.tool import MissingToolError

#: A line of git's log about a commit, such as `# good: [1a2b…] subject`.
_SAID = re.compile(r"# (\S+): \[([0-9a-f]{40,64})\]")


class NoStepsError(InputError):
    """The number of steps is neither given nor to be found out."""


@dataclass(frozen=True, slots=True)
class GitBisection:
    """A bisection that git is doing."""

    commits: int
    """Candidates when it began."""
    clean: int
    """Commits that were called good since. Each of these answers may have been a mistake."""

    @property
    def steps(self) -> int:
        """Steps that it takes, and one more: where git skips commits, it takes more steps."""
        return max(self.commits, 1).bit_length() + 1


def git_bisection(folder: Path) -> GitBisection | None:
    """Return the bisection that goes on in a repository; None if there is none yet.

    Args:
        folder: the work tree.

    Raises:
        RepositoryError: git can't count the candidates.
    """
    try:
        repository = Repository.at(folder)
        said = repository.ask("bisect", "log")
    except (RepositoryError, MissingToolError):
        return None
    old = repository.ask("bisect", "terms", "--term-good", must=False).strip() or "good"
    new = repository.ask("bisect", "terms", "--term-bad", must=False).strip() or "bad"
    good: list[str] = []
    first_bad = ""
    ends: list[str] = []
    clean = 0
    for term, commit in _SAID.findall(said):
        if ends:
            clean += term == old
            continue
        if term == old:
            good.append(commit)
        elif term == new:
            first_bad = first_bad or commit
        if good and first_bad:
            ends = [first_bad, *(f"^{each}" for each in good)]
    if not ends:
        return None
    return GitBisection(int(repository.ask("rev-list", "--count", *ends)), clean)


def share_of_error(error: float, steps: int, clean: int) -> float:
    """Return the probability with which the next answer `clean` may be a mistake.

    Each step but the last one gets `error` / `steps`. The last share is halved for each step from
    there on, because a bisection may take more steps than were foreseen. So all shares together
    never exceed `error`.

    Args:
        error: probability of any mistake in the whole bisection.
        steps: expected number of steps.
        clean: how many answers were `clean` by now.
    """
    share = error / steps
    over = clean + 1 - (steps - 1)
    return share if over <= 0 else share / 2**over
