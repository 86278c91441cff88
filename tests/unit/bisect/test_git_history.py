"""Histories of git trees: real repositories, made by `git fast-import`."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from orchestrator.bisect.candidate import HistoryError
from orchestrator.bisect.git_history import GitTreeError, read_history
from orchestrator.bisect.rules import Find

#: Branches and a merge: base — good — one — merge — bad, and base — side — merge; another root.
COMMITS = {
    "base": ((), "a"), "good": (("base",), "a"), "side": (("base",), "kvm/b"),
    "one": (("good",), "kvm/c"), "merge": (("one", "side"), "d"), "bad": (("merge",), "a"),
    "root": ((), "a"),
}  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    git(tmp_path, "init", "-q", str(folder))
    marks = {name: number for number, name in enumerate(COMMITS, start=1)}
    said = []
    for name, (parents, path) in COMMITS.items():
        said.append(f"commit refs/tags/{name}\nmark :{marks[name]}\n")
        said.append("committer A <a@b.c> 1700000000 +0000\n")
        subject = f"{name} \x1b[31mred"
        said.append(f"data {len(subject)}\n{subject}\n")
        for order, parent in enumerate(parents):
            said.append(f"{'merge' if order else 'from'} :{marks[parent]}\n")
        said.append(f"M 644 inline {path}\ndata {len(name)}\n{name}\n\n")
    git(folder, "fast-import", "--quiet", text="".join(said))
    return folder


def git(folder: Path, *arguments: str, text: str = "") -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], input=text, text=True, check=True,
        capture_output=True,
    ).stdout.strip()  # fmt: skip


def names(tree: Path, *arguments: object, **more: object) -> tuple[list[str], dict[str, set[str]]]:
    """Return the names of a history's commits, and of the parents of each."""
    found = read_history(tree, *arguments, **more)  # type: ignore[arg-type]
    order = [each.summary.split()[0] for each in found.candidates]
    return order, {
        name: {order[p] for p in parents}
        for name, parents in zip(order, found.parents, strict=True)
    }


def digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(
        b"".join(str(path).encode() + path.read_bytes() for path in files)
    ).hexdigest()


def test_history_has_the_commits_that_only_the_newer_end_has(tree: Path) -> None:
    before = digest(tree)
    order, parents = names(tree, "good", "bad")
    assert order[0] == "good"
    assert order[-1] == "bad"
    assert parents == {
        "good": set(), "one": {"good"}, "side": set(), "merge": {"one", "side"}, "bad": {"merge"},
    }  # fmt: skip
    assert digest(tree) == before


def test_a_fix_is_looked_for_from_the_losing_end(tree: Path) -> None:
    assert names(tree, "bad", "good", Find.FIX)[0][0] == "good"


def test_only_commits_of_some_paths_count(tree: Path) -> None:
    order, parents = names(tree, "good", "bad", paths=("kvm/b", "kvm/c"))
    assert order[0] == "good"
    assert order[-1] == "bad"  # it changes none of them
    assert parents["one"] == {"good"}
    assert "merge" not in order or parents["merge"] == {"one", "side"}
    assert names(tree, "good", "bad", paths=("kvm/c",)) == (
        ["good", "one", "bad"], {"good": set(), "one": {"good"}, "bad": {"one"}},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("good", "bad", "find", "words"),
    [
        ("nothing", "bad", Find.BREAK, "--good nothing .*has no such commit"),
        ("--output=x", "bad", Find.BREAK, "has no such commit"),
        ("good", "good", Find.BREAK, "both are the commit"),
        ("bad", "good", Find.BREAK, "add --find fix"),
        ("good", "bad", Find.FIX, "leave out --find fix"),
        ("side", "one", Find.BREAK, "part at"),
        ("root", "bad", Find.BREAK, "no common ancestor"),
    ],
)
def test_ends_that_make_no_history_are_refused(
    tree: Path, good: str, bad: str, find: Find, words: str
) -> None:
    with pytest.raises((GitTreeError, HistoryError), match=words):
        read_history(tree, good, bad, find)


def test_what_is_no_tree_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GitTreeError, match="looking for a git tree"):
        read_history(tmp_path, "a", "b")
