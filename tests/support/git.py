"""Git repositories of tests."""

import os
import subprocess
from pathlib import Path

#: Without what a git around the tests says of its own repository and user.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "T",
    "GIT_AUTHOR_EMAIL": "t@localhost",
    "GIT_COMMITTER_NAME": "T",
    "GIT_COMMITTER_EMAIL": "t@localhost",
}


def git(place: Path, *words: str) -> str:
    """Run git in a repository, and return what it prints."""
    command = ["git", "-C", str(place), *words]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def repository(place: Path) -> Path:
    """Make an empty repository, in a folder that may be there."""
    place.mkdir(parents=True, exist_ok=True)
    git(place, "init", "--quiet", "--initial-branch=main")
    return place


def commit(place: Path, subject: str) -> str:
    """Commit all files of a work tree, if they changed or not; return the commit."""
    git(place, "add", "--all", "--force", ".")
    git(place, "commit", "--quiet", "--allow-empty", "--message", subject)
    return git(place, "rev-parse", "HEAD")
