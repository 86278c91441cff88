"""The history between two commits of a git tree, read without writing anything to it.

Only plumbing is used: no checkout, no index, no hook, no program that the tree's configuration
names.
"""

import re
from pathlib import Path

from orchestrator.bisect.candidate import Candidate, History, HistoryError
from orchestrator.bisect.rules import Find
from orchestrator.errors import InputError
from orchestrator.process.tool import run_tool

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class GitTreeError(InputError):
    """A git tree can't be read, or does not have what was named."""


def read_history(
    tree: Path, good: str, bad: str, find: Find = Find.BREAK, paths: tuple[str, ...] = ()
) -> History:
    """Return the commits from the older to the newer of two revisions, both included.

    Args:
        tree: a git repository, with or without a worktree.
        good: the revision that does not lose: a commit, tag or branch.
        bad: the revision that loses.
        find: what is to be found: it says which of the two is the older one.
        paths: files or folders; only commits that change them count.

    Raises:
        GitTreeError: it is no repository, or a revision is not in it.
        HistoryError: the older revision is no ancestor of the newer one.
        MissingToolError: git is not installed.
    """
    _git(tree, "looking for a git tree", "rev-parse", "--git-dir")
    older, newer = _commit(tree, good, "--good"), _commit(tree, bad, "--bad")
    if find is Find.FIX:
        older, newer = newer, older
    _check_order(tree, older, newer, good, bad, find)
    listed = _git(
        tree, "reading the history", "rev-list", "--topo-order", "--reverse", "--parents",
        "--format=%s", f"{older}..{newer}", "--", *paths,
    ).split("\n")  # fmt: skip
    first = _git(tree, "reading the history", "rev-list", "-1", "--format=%s", older).split("\n")
    candidates = [_candidate(older, first[1] if len(first) > 1 else "")]
    parents: list[tuple[int, ...]] = [()]
    place = {older: 0}
    for head, subject in zip(listed[::2], listed[1::2], strict=False):
        commit, *above = head.removeprefix("commit ").split()
        _check_hash(tree, commit)
        parents.append(tuple(dict.fromkeys(place[each] for each in above if each in place)))
        place[commit] = len(candidates)
        candidates.append(_candidate(commit, subject))
    if newer not in place:  # it changes none of the paths
        said = _git(tree, "reading the history", "rev-list", "-1", "--format=%s", newer).split("\n")
        heads = set(range(len(candidates))) - {each for above in parents for each in above}
        candidates.append(_candidate(newer, said[1] if len(said) > 1 else ""))
        parents.append(tuple(sorted(heads)))
    return History(tuple(candidates), tuple(parents))


def _candidate(commit: str, subject: str) -> Candidate:
    return Candidate(commit, subject, commit)


def _commit(tree: Path, revision: str, option: str) -> str:
    """Return the full hash of a revision's commit.

    Raises:
        GitTreeError: there is no such commit.
    """
    said = _git(
        tree, f"looking for {option} {revision}", "rev-parse", "--verify", "--quiet",
        "--end-of-options", f"{revision}^{{commit}}", must=False,
    ).strip()  # fmt: skip
    if not _HASH.fullmatch(said):
        raise GitTreeError(
            f"looking for {option} {revision} in {tree}: the tree has no such commit. Name one "
            "that `git log` shows; fetch it first if it is elsewhere"
        )
    return said


def _check_order(tree: Path, older: str, newer: str, good: str, bad: str, find: Find) -> None:
    """Check that one commit is an ancestor of the other one.

    Raises:
        HistoryError: it is not.
    """
    doing = f"reading the history from {good} to {bad}"
    if older == newer:
        raise HistoryError(f"{doing}: both are the commit {older[:12]}")
    base = _git(tree, doing, "merge-base", older, newer, must=False).strip().split("\n")[0]
    if base == older:
        return
    if base == newer:
        other = "leave out --find fix" if find is Find.FIX else "add --find fix"
        raise HistoryError(
            f"{doing}: --good is the {'older' if find is Find.FIX else 'newer'} of them. To find "
            f"the first {'losing' if find is Find.FIX else 'fixed'} one, {other}; else exchange "
            "them"
        )
    if not base:
        raise HistoryError(f"{doing}: they have no common ancestor")
    old, new = ("--bad", "--good") if find is Find.FIX else ("--good", "--bad")
    raise HistoryError(
        f"{doing}: {old} is no ancestor of {new}. Their histories part at {base[:12]}: test that "
        f"one, and name it for {old} if it behaves alike"
    )


def _check_hash(tree: Path, commit: str) -> None:
    if not _HASH.fullmatch(commit):
        raise GitTreeError(f"reading the history of {tree}: git says {commit[:80]!r}")


def _git(tree: Path, doing: str, *arguments: str, must: bool = True) -> str:
    """Run git in a tree, and return what it prints.

    Raises:
        GitTreeError: git failed, and it must not.
    """
    return run_tool(
        [
            "git", "--no-pager", "--no-optional-locks", "-c", "core.fsmonitor=false",
            "-C", str(tree), *arguments,
        ],
        f"{doing} in {tree}", must=must, failed=GitTreeError,
    )  # fmt: skip
