import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cache.workshop import CacheError, cache_folder, workshop
from tests.support.foreign_user import OtherUser
from tests.support.small_disk import SmallDisk


def test_a_workshop_is_empty_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "place" / "work-of-one-that-was-killed").mkdir(parents=True)
    with workshop(tmp_path / "place") as work:
        assert list(work.iterdir()) == []
        assert sorted(tmp_path.rglob("*")) == [work.parent, work.parent / "lock", work]
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["lock"]


def test_a_cache_that_cannot_be_written_to_is_named() -> None:
    with (
        pytest.raises(
            CacheError, match=r"^making /proc/losttick/place: .*XDG_CACHE_HOME"
        ) as caught,
        workshop(Path("/proc/losttick/place")),
    ):
        pytest.fail("nobody can write there")
    assert not caught.value.transient


def test_a_full_disk_is_said_and_leaves_nothing(small_disk: Callable[[int], SmallDisk]) -> None:
    place = small_disk(64).path / "place"
    with (
        pytest.raises(CacheError, match="No space left on device") as caught,
        workshop(place) as work,
    ):
        (work / "file").write_bytes(bytes(100_000))
    assert caught.value.transient
    assert [path.name for path in place.iterdir()] == ["lock"]


def test_other_errors_of_a_build_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), workshop(tmp_path):
        (tmp_path / "missing").read_bytes()


def test_a_relative_cache_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/mine")
    for relative in ("", ".", "cache", "../cache"):
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        assert cache_folder() == Path("/home/of/mine/.cache/losttick")


def test_a_user_without_a_home_folder_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run as a user that it does not know."""

    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(CacheError, match=r"this user has no home folder\. Let XDG_CACHE_HOME"):
        cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", os.sep)
    assert cache_folder() == Path("/losttick")


#: Caches to which another user can write, by how a shell makes them.
OPEN = {
    "another's": "mkdir -p c/losttick; chown 61999 c c/losttick",
    "another's above": "mkdir -p c/losttick; chown 61999 c",
    "not made yet": "mkdir c; chown 61999 c",
    "another's inside": "mkdir -p c/losttick; chown 61999 c/losttick",
    "everybody's": "mkdir -p c/losttick; chmod 777 c/losttick",
    "everybody's, sticky": "mkdir -p c/losttick; chmod 1777 c/losttick",
    "everybody's above": "mkdir -p c/losttick; chmod 777 c",
    "a group's": "mkdir -p c/losttick; chgrp 61997 c/losttick; chmod 775 c/losttick",
    "behind a link": "mkdir -p d/losttick c; chown 61999 d; ln -s ../d/losttick c/losttick",
}


@pytest.mark.parametrize("how", OPEN)
def test_a_cache_that_another_user_can_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_user: OtherUser, how: str
) -> None:
    """Who can write to it can have root run any program."""
    subprocess.run(["sh", "-ec", OPEN[how]], cwd=tmp_path, check=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    with pytest.raises(CacheError, match=r"write to it.*is run\. Take .*XDG_CACHE_HOME"):
        cache_folder()


@pytest.mark.parametrize("umask", [0o022, 0o002, 0])
def test_a_cache_that_losttick_has_made_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    (open_to_all := tmp_path / "tmp").mkdir()
    open_to_all.chmod(0o1777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(open_to_all / "my" / "cache"))
    before = os.umask(umask)
    try:
        for _ in range(2):
            with workshop(cache_folder() / "tools"):
                pass
    finally:
        os.umask(before)


def test_a_cache_behind_a_link_does_not_move_with_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place := tmp_path / "large").mkdir()
    (tmp_path / "link").symlink_to(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "link"))
    assert cache_folder() == place / "losttick"
