import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cache.workshop import CacheError, cache_folder, workshop
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
