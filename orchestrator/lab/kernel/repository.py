"""A user's git repository, which losttick reads and never writes to."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.process.existence import no_folder
from orchestrator.process.tool import MissingToolError, run_tool

#: Variables by which a running git, such as `git bisect run`, names its own repository.
_OTHERS = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX",
)  # fmt: skip


#: Names of changed files that a message has.
_NAMED = 3


class RepositoryError(InputError):
    """A folder is no git repository, or has no such commit."""


def git(options: Sequence[str], doing: str, *, must: bool = True) -> str:
    """Run git without optional writes, and return what it prints.

    Args:
        options: where the repository is, the command and its arguments.
        doing: what git is run for.
        must: whether it is an error if git fails.

    Raises:
        MissingToolError: git is not installed.
        RepositoryError: git refuses.
    """
    if shutil.which("git") is None:
        raise MissingToolError(f"{doing}: git is not installed. As root, run: apt-get install git")
    others = [word for name in _OTHERS for word in ("-u", name)]
    command = ["env", *others, "git", "--no-optional-locks", *options]
    return run_tool(command, doing, must=must, failed=RepositoryError)


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository."""

    folder: Path
    """The folder by which the user named it."""
    common: Path
    """The folder of git's own files, which all work trees of the repository share."""

    @classmethod
    def at(cls, folder: Path) -> "Repository":
        """Return the repository in a folder, or around it.

        Raises:
            MissingToolError: git is not installed.
            RepositoryError: there is none, or git does not trust the folder's owner.
        """
        if why := no_folder(folder):
            raise RepositoryError(why)
        doing = f"looking for a git repository in {folder}"
        common = git(["-C", str(folder), "rev-parse", "--git-common-dir"], doing).rstrip("\n")
        return cls(folder, (folder / common).resolve())

    def ask(self, *words: str, must: bool = True) -> str:
        """Return git's answer to a command that only reads.

        Raises:
            RepositoryError: git refuses.
        """
        return git(["-C", str(self.folder), *words], f"reading {self.folder}", must=must)

    def commit(self, revision: str) -> str:
        """Return the full name of a commit.

        Raises:
            RepositoryError: the revision names none.
        """
        named = f"{revision}^{{commit}}"
        option = revision.startswith("-")
        found = "" if option else self.ask("rev-parse", "-q", "--verify", named, must=False).strip()
        if not found:
            raise RepositoryError(f"{self.folder} has no commit {revision}")
        return found

    def current(self) -> str:
        """Return the commit that `git bisect --no-checkout` asks about; else what is checked out.

        Raises:
            RepositoryError: there is no commit yet.
        """
        asked = self.ask("rev-parse", "-q", "--verify", "BISECT_HEAD^{commit}", must=False).strip()
        return asked or self.commit("HEAD")

    def tree(self, commit: str) -> str:
        """Return the name of what a commit contains: two commits may contain the same."""
        return self.ask("rev-parse", "--verify", f"{commit}^{{tree}}").strip()

    def has(self, commit: str, path: str) -> bool:
        """Return whether a commit contains a file or folder."""
        return bool(self.ask("ls-tree", "--name-only", "--full-tree", commit, path).strip())

    def changed(self) -> list[str]:
        """Return the tracked files that differ from the checked-out commit, staged or not."""
        inside = self.ask("rev-parse", "--is-inside-work-tree").strip()
        if inside != "true":
            return []
        listed = self.ask("status", "--porcelain", "-z", "--no-renames", "--untracked-files=no",
                          "--ignore-submodules=all")  # fmt: skip
        return [entry[3:] for entry in listed.split("\0") if entry]

    def check_unchanged(self) -> None:
        """Refuse a work tree whose tracked files are not those of its commit.

        Raises:
            RepositoryError: files differ.
        """
        if changed := self.changed():
            more = len(changed) - _NAMED
            named = ", ".join(changed[:_NAMED]) + (f" and {more} more" if more > 0 else "")
            raise RepositoryError(
                f"{self.folder} has changes that are in no commit ({named}). Commit or stash them, "
                "or name the commit: @HEAD"
            )

    def differing(self, one: str, other: str) -> list[str]:
        """Return the files that differ between two commits or trees."""
        words = ("diff-tree", "-r", "-z", "--no-renames", "--name-only")
        return [path for path in self.ask(*words, one, other).split("\0") if path]

    @property
    def objects(self) -> Path:
        """The folder of the repository's objects."""
        said = self.ask("rev-parse", "--git-path", "objects").rstrip("\n")
        return (self.folder / said).resolve()
