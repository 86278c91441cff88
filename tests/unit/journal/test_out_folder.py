"""The output folder: whose it may be, and what is never written through."""

import grp
import os
import pwd
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.journal.file import Journal, JournalFormatError, read_journal
from orchestrator.journal.out_folder import OutFolder, OutFolderError
from orchestrator.journal.records import InterruptedRecord
from tests.support.foreign_user import NOBODY, OtherUser
from tests.support.needs import not_applicable


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file that losttick must not touch."""
    path = tmp_path / "precious"
    path.write_text("precious")
    return path


@pytest.fixture
def loose() -> Iterator[None]:
    """A umask that takes nothing away."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.lstat().st_mode))


def test_files_are_private_in_a_new_folder(tmp_path: Path, loose: None) -> None:
    with OutFolder(tmp_path / "a" / "out", make=True) as out, out.folder("evidence") as evidence:
        os.close(out.create("journal.jsonl"))
        evidence.write("why.txt", "so")
    assert mode(tmp_path / "a") == mode(tmp_path / "a/out") == "0o700"
    assert mode(tmp_path / "a/out/evidence") == "0o700"
    assert mode(tmp_path / "a/out/journal.jsonl") == "0o600"
    assert mode(tmp_path / "a/out/evidence/why.txt") == "0o600"


def test_who_can_read_the_folder_can_read_the_files(tmp_path: Path, loose: None) -> None:
    for given, folder, file in ((0o755, "0o755", "0o644"), (0o750, "0o750", "0o640")):
        place = tmp_path / folder
        place.mkdir(mode=given)
        with OutFolder(place) as out, out.folder("evidence") as evidence:
            evidence.write("why.txt", "so")
        assert mode(place / "evidence") == folder
        assert mode(place / "evidence" / "why.txt") == file


@pytest.mark.parametrize("given", [0o777, 0o1777])
def test_a_folder_that_all_can_write_to_is_refused(tmp_path: Path, given: int) -> None:
    place = tmp_path / "out"
    place.mkdir()
    place.chmod(given)
    with pytest.raises(OutFolderError, match=r"every user can write to it.*--shared-out"):
        OutFolder(place)
    OutFolder(place, shared=True).close()


def test_a_folder_that_a_group_can_write_to_is_refused(other_user: OtherUser) -> None:
    place = other_user.home / "out"
    place.mkdir()
    os.chown(place, -1, NOBODY)
    place.chmod(0o770)
    with pytest.raises(OutFolderError, match=r"group .* can write to it"):
        OutFolder(place)


def test_a_folder_with_a_list_of_others_is_refused(other_user: OtherUser) -> None:
    """The group's bits are then those of everybody in the list."""
    place = other_user.home / "out"
    place.mkdir()
    entries = [(1, 7, -1), (2, 7, NOBODY), (4, 5, -1), (0x10, 7, -1), (0x20, 0, -1)]
    packed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(place, "system.posix_acl_access", struct.pack("<I", 2) + packed)
    except OSError as error:
        not_applicable(f"no access lists on this file system: {error.strerror}")
    with pytest.raises(OutFolderError, match=r"group .* can write to it"):
        OutFolder(place)


def test_a_folder_of_ones_own_group_is_not_refused(tmp_path: Path) -> None:
    """Every user has a group of his own on a computer whose umask is 002."""
    me, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(os.getegid())
    if (me.pw_name, me.pw_gid) != (group.gr_name, group.gr_gid):
        not_applicable("this user has no group of his own")
    place = tmp_path / "out"
    place.mkdir()
    os.chown(place, -1, group.gr_gid)
    place.chmod(0o775)
    OutFolder(place).close()


def test_a_folder_of_another_user_is_refused(other_user: OtherUser) -> None:
    other_user.sh("mkdir out")
    with pytest.raises(OutFolderError, match="it belongs to user nobody"):
        OutFolder(other_user.home / "out")
    OutFolder(other_user.home / "out", shared=True).close()


def test_a_new_folder_below_that_of_another_user_is_ones_own(other_user: OtherUser) -> None:
    """`sudo losttick run` makes such a folder."""
    other_user.sh("mkdir losttick-out")
    path = other_user.home / "losttick-out" / "today"
    with OutFolder(path, make=True) as out:
        out.write("file", "text")
    assert path.stat().st_uid == 0


def test_a_link_of_another_user_leads_nowhere(other_user: OtherUser, tmp_path: Path) -> None:
    other_user.sh(f"ln -s {tmp_path} losttick-out; mkdir mine; ln -s {tmp_path} mine/out")
    for place in ("losttick-out/today", "mine/out", "mine/../mine/out"):
        with pytest.raises(OutFolderError, match="a symbolic link of user nobody"):
            OutFolder(other_user.home / place, make=True)
    assert list(tmp_path.iterdir()) == []


def test_ones_own_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "disk" / "results").mkdir(parents=True)
    (tmp_path / "relative").symlink_to("disk/../disk/results")
    (tmp_path / "absolute").symlink_to(tmp_path / "relative")
    with OutFolder(tmp_path / "absolute" / "out", make=True) as out:
        out.write("file", "text")
    assert (tmp_path / "disk/results/out/file").read_text() == "text"
    (tmp_path / "endless").symlink_to("endless")
    with pytest.raises(OSError, match="Too many levels"):
        OutFolder(tmp_path / "endless", make=True)


def test_nothing_is_written_through_a_link(tmp_path: Path, precious: Path) -> None:
    out = tmp_path / "out"
    (out / "there").mkdir(parents=True)
    (out / "file").symlink_to(precious)
    (out / "new").symlink_to(tmp_path / "not there yet")
    (out / "folder").symlink_to(out / "there")
    with OutFolder(out) as held:
        for name in ("file", "new"):
            with pytest.raises(FileExistsError):
                held.write(name, "harm")
            with pytest.raises(OSError, match="Too many levels"):
                held.reopen(name, os.O_RDWR)
        with pytest.raises(OSError, match="Not a directory"):
            held.folder("folder")
    assert precious.read_text() == "precious"
    assert not (tmp_path / "not there yet").exists()


def test_what_is_written_stays_in_the_folder_that_was_opened(tmp_path: Path) -> None:
    """Another folder takes its place, as another user could have it."""
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    with OutFolder(tmp_path / "out") as held:
        (tmp_path / "out").rename(tmp_path / "moved")
        (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
        with held.folder("evidence") as evidence:
            evidence.write("why.txt", "so")
    assert (tmp_path / "moved/evidence/why.txt").read_text() == "so"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_journal_with_another_name_elsewhere_is_not_resumed(
    tmp_path: Path, precious: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "journal.jsonl").hardlink_to(precious)
    with pytest.raises(OutFolderError, match="a hard link"):
        Journal(tmp_path / "out" / "journal.jsonl", resume=True)
    assert precious.read_text() == "precious"


def test_a_journal_that_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """A FIFO would let a reader wait for ever."""
    os.mkfifo(tmp_path / "journal.jsonl")
    with pytest.raises(JournalFormatError, match="it is not a file"):
        list(read_journal(tmp_path / "journal.jsonl"))
    with pytest.raises(OutFolderError, match="it is not a file"):
        Journal(tmp_path / "journal.jsonl", resume=True)


def test_a_journal_of_another_user_is_not_resumed(other_user: OtherUser, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.write(InterruptedRecord("KeyboardInterrupt"))
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(OutFolderError, match="it belongs to user nobody"):
        Journal(path, resume=True)
