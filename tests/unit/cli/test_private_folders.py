"""Folders that another user keeps private: named, they are a mistake; met, they are left out."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_here import losttick
from tests.support.foreign_user import NOBODY, OtherUser
from tests.support.made_runs import losing, make_run

#: Commands that name PLACE, a path in a private folder. RUN is a run that everybody can read.
NAMED = [
    "report PLACE --junit -",
    "report --index PLACE",
    "report RUN --junit PLACE",
    "report RUN --html PLACE/page",
    "show PLACE",
    "explain PLACE",
    "compare PLACE RUN",
    "compare RUN PLACE",
    "bundle PLACE -o bundle",
    "history add PLACE",
    "history list --db PLACE/db",
    "lab run --kernel tree:PLACE",
    "lab run --kernel git:PLACE",
    "lab run --kernel git:PLACE@HEAD",
    "lab run --kernel deb:PLACE",
    "lab probe --kernel tree:PLACE",
    "bisect --qemus PLACE,PLACE",
    "bisect --qemus @PLACE",
    "bisect --kernels tree:PLACE,tree:PLACE/y",
    "bisect --tree PLACE --good a --bad b",
    "bisect --tree . --good a --bad b --config PLACE",
    "bisect --resume PLACE",
    "fleet status PLACE",
    "fleet collect PLACE",
    "fleet resume PLACE",
    "fleet cancel PLACE",
    "fleet plan PLACE",
    "run --plan PLACE",
    "run --resume PLACE",
    "run --qemu PLACE",
    "compare --run --qemu /bin/true --qemu /bin/false --out PLACE/out",
    "compare --run --resume PLACE",
    "plan show PLACE",
]


@pytest.fixture
def user(other_user: OtherUser, monkeypatch: pytest.MonkeyPatch) -> Iterator[OtherUser]:
    """Another user with a home, in which this test is, and with a run in it."""
    other_user.needs_this_clone()
    for name, where in (("HOME", ""), ("XDG_CACHE_HOME", "cache"), ("XDG_DATA_HOME", "data")):
        monkeypatch.setenv(name, str(other_user.home / where))
    monkeypatch.delenv("LOSTTICK_HISTORY", raising=False)
    monkeypatch.chdir(other_user.home)
    make_run(other_user.home / "runs" / "good", losing(0))
    owned(other_user.home / "runs")
    yield other_user


def owned(folder: Path) -> None:
    for each in (folder, *folder.rglob("*")):
        os.chown(each, NOBODY, NOBODY)


@pytest.mark.parametrize("command", NAMED)
def test_a_path_that_is_named_is_told_with_the_reason(user: OtherUser, command: str) -> None:
    """As one that is missing is, which this user tries first. (That imports what is needed.)"""
    (user.home / "private").mkdir(mode=0o700)
    words = command.replace("RUN", str(user.home / "runs" / "good"))
    missing = losttick(*words.replace("PLACE", str(user.home / "none" / "x")).split())
    assert missing.returncode in (0, 2, 4), missing.stderr
    for each in ("cache", "data", "none", "losttick-out"):
        shutil.rmtree(user.home / each, ignore_errors=True)
    with user.acts():
        done = losttick(*words.replace("PLACE", str(user.home / "private" / "x")).split())
    assert (done.returncode, done.stdout) == (2, "")
    assert str(user.home / "private") in done.stderr
    assert "Permission denied" in done.stderr or "is not an executable file" in done.stderr


@pytest.mark.parametrize("command", ["lab run --kernel deb:FILE", "lab run --kernel tree:TREE"])
def test_a_file_that_may_not_be_read(user: OtherUser, command: str) -> None:
    """It is there, and in a folder that everybody may look into."""
    image = user.home / "tree" / "arch" / "x86" / "boot" / "bzImage"
    image.parent.mkdir(parents=True)
    words = command.replace("FILE", str(image)).replace("TREE", str(user.home / "tree"))
    losttick(*words.split())
    for each in ("cache", "data", "losttick-out"):
        shutil.rmtree(user.home / each, ignore_errors=True)
    image.touch(mode=0o600)
    with user.acts():
        done = losttick(*words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert f"reading the file {image}: Permission denied" in done.stderr


def test_a_private_run_takes_no_other_along(user: OtherUser) -> None:
    private = make_run(user.home / "runs" / "private", losing(0))
    private.chmod(0o700)
    commands = (
        (0, ("report", "--index", user.home / "runs")),
        (2, ("history", "add", user.home / "runs")),
        (2, ("history", "add", private, user.home / "runs" / "good")),
    )
    for _, command in commands:
        losttick(*command)
    for made in (*user.home.glob("runs/index.*"), user.home / "runs" / "good" / "run-page.html"):
        made.unlink()
    shutil.rmtree(user.home / "data")
    with user.acts():
        for code, command in commands:
            done = losttick(*command, columns=300)
            assert done.returncode == code
            assert str(private) in done.stderr
            assert len(done.stderr.splitlines()) == 1
            assert done.stdout
        assert losttick("history", "list").stdout
    assert "good/run-page.html" in (user.home / "runs" / "index.html").read_text()
