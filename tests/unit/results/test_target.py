"""Outputs are written whole or not at all, wherever they go."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.process import whole_file
from orchestrator.results.outputs.output import OutputError
from orchestrator.results.outputs.target import TargetError, check_target, write_target
from tests.support.foreign_user import NOBODY, OtherUser
from tests.support.small_disk import SmallDisk, small_disk

__all__ = ["small_disk"]

DATA = b"x" * 200_000


def test_a_full_disk_leaves_what_was_there(small_disk: Callable[[int], SmallDisk]) -> None:
    disk = small_disk(1024)
    target = disk.path / "junit.xml"
    write_target(target, b"old")
    disk.fill(leave_bytes=100_000)
    with pytest.raises(
        TargetError, match=r"No space left on device\. What was there before is unch"
    ) as seen:
        write_target(target, DATA)
    assert seen.value.transient
    assert target.read_bytes() == b"old"
    assert {path.name for path in disk.path.iterdir()} == {"junit.xml", "ballast"}


def test_a_disk_that_can_only_be_read_is_refused_at_once(
    small_disk: Callable[[int], SmallDisk],
) -> None:
    disk = small_disk(1024)
    disk._mount("-o", "remount,ro", str(disk.path))
    with pytest.raises(OutputError, match="no file can be put into its folder"):
        check_target(disk.path / "junit.xml")
    with pytest.raises(TargetError, match="Read-only file system"):
        write_target(disk.path / "junit.xml", DATA)


def test_a_file_keeps_its_mode_and_a_new_one_has_the_usual(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_target(tmp_path / "new", DATA)
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    (tmp_path / "new").chmod(0o604)
    write_target(tmp_path / "new", b"other")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o604
    assert (tmp_path / "new").read_bytes() == b"other"


@pytest.mark.parametrize("mode", [0o6777, 0o4755, 0o2750, 0o1666, 0o666, 0o600])
@pytest.mark.parametrize("mine", [True, False])
def test_only_an_own_file_hands_its_mode_on(
    other_user: OtherUser, mode: int, *, mine: bool
) -> None:
    """And never one that makes whoever runs the file another user."""
    target = other_user.home / "r.xml"
    target.write_bytes(b"old")
    if not mine:
        os.chown(target, NOBODY, NOBODY)
    target.chmod(mode)
    before = os.umask(0o027)
    try:
        write_target(target, DATA)
    finally:
        os.umask(before)
    about = target.stat()
    assert (about.st_uid, about.st_mode & 0o7777) == (0, mode & 0o777 if mine else 0o640)


def test_root_s_file_hands_its_mode_on(other_user: OtherUser) -> None:
    (target := other_user.home / "r.xml").write_bytes(b"old")
    target.chmod(0o604)
    with other_user.acts():
        write_target(target, DATA)
    about = target.stat()
    assert (about.st_uid, about.st_mode & 0o7777) == (NOBODY, 0o604)


def test_a_kill_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "junit.xml"
    target.write_bytes(b"old")
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from orchestrator.results.outputs.target import write_target\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_target(Path(sys.argv[1]), b'new')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, target], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_where_each_new_file_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on NFS."""

    def nowhere(folder: int) -> int | None:
        return None

    monkeypatch.setattr(whole_file, "_nameless", nowhere)
    for data in (b"old", DATA):
        write_target(tmp_path / "new", data)
        assert (tmp_path / "new").read_bytes() == data
    assert [each.name for each in tmp_path.iterdir()] == ["new"]


def test_an_own_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/file")
    write_target(tmp_path / "link", DATA)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder/file").read_bytes() == DATA


def test_an_own_link_to_what_is_open(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    (tmp_path / "link").symlink_to(f"/dev/fd/{writer}")
    check_target(tmp_path / "link")
    write_target(tmp_path / "link", b"data")
    assert os.read(reader, 100) == b"data"
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("name", ["link", "way/file", "way/new"])
def test_another_user_s_link_is_refused(other_user: OtherUser, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"old")
    other_user.sh(f"ln -s {tmp_path}/file link; ln -s {tmp_path} way")
    target = other_user.home / name
    for refused in (lambda: check_target(target), lambda: write_target(target, DATA)):
        with pytest.raises(OutputError, match=r"'(link|way)' is a symbolic link of user nobody"):
            refused()
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"file": b"old"}


#: What lies where the report is to be, made by root, and whether another user may replace it. The
#: folder "own" is that user's, "shut" is root's, "sticky" is such as /tmp.
REPLACED = {
    "own, read only": ("echo >own/report; chown nobody own/report; chmod 400 own/report", True),
    "own, root's": ("echo >own/report; chmod 644 own/report", True),
    "own, new": (":", True),
    "own, closed": ("chmod 500 own", False),
    "shut, own": ("echo >shut/report; chown nobody shut/report", False),
    "shut, for all": ("echo >shut/report; chmod 666 shut/report", False),
    "shut, new": (":", False),
    "sticky, own": ("echo >sticky/report; chown nobody sticky/report", True),
    "sticky, for all": ("echo >sticky/report; chmod 666 sticky/report", False),
    "sticky, new": (":", True),
}


@pytest.mark.parametrize("kind", REPLACED)
def test_what_is_accepted_at_once_can_be_written_later(other_user: OtherUser, kind: str) -> None:
    """Whether a file can be replaced is a matter of its folder, and not of its mode."""
    script, accepted = REPLACED[kind]
    made = "mkdir own shut; mkdir -m 1777 sticky; chown nobody own"
    subprocess.run(["sh", "-ec", f"{made}; {script}"], cwd=other_user.home, check=True)
    target = other_user.home / kind.partition(",")[0] / "report"
    before = target.read_bytes() if target.exists() else None
    with other_user.acts():
        for act in (lambda: check_target(target), lambda: write_target(target, DATA)):
            if accepted:
                act()
            else:
                with pytest.raises(OutputError):
                    act()
    assert (target.read_bytes() if target.exists() else None) == (DATA if accepted else before)


def test_a_fifo_that_may_not_be_written_to(other_user: OtherUser) -> None:
    os.mkfifo(other_user.home / "fifo", 0o600)
    with other_user.acts(), pytest.raises(OutputError, match="fifo can't be written to"):
        check_target(other_user.home / "fifo")


def test_a_fifo_gets_everything_and_needs_a_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    check_target(tmp_path / "fifo")
    with pytest.raises(OutputError, match="nobody reads it"):
        write_target(tmp_path / "fifo", DATA)
    heard: list[bytes] = []
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)

    def read() -> None:
        while data := os.read(reader, 1 << 16):
            heard.append(data)

    thread = threading.Thread(target=read)
    # A writer of the test's own keeps the reader from its end until all is written.
    own = os.open(tmp_path / "fifo", os.O_WRONLY)
    thread.start()
    write_target(tmp_path / "fifo", DATA)
    os.close(own)
    thread.join()
    os.close(reader)
    assert b"".join(heard) == DATA
    assert (tmp_path / "fifo").is_fifo()


def test_an_open_descriptor_is_written_through(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        file.write("before\n")
        file.flush()
        write_target(Path(f"/dev/fd/{file.fileno()}"), b"after\n")
    assert (tmp_path / "file").read_text() == "before\nafter\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "it is a folder. Name a file in it"),
        ("no/such", "there is no folder"),
        ("file/below", "Name another file|there is no folder"),
        ("n" * 300, "File name too long"),
    ],
)
def test_a_place_that_can_t_hold_a_file_is_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=words):
        check_target(tmp_path / name)
