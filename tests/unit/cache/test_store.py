"""What is in the cache is whole, and stays while someone uses it."""

import os
from pathlib import Path

import pytest

from orchestrator.cache import store as cache_module
from orchestrator.cache.inventory import items
from orchestrator.cache.store import Store
from tests.support.cache_entries import keep


def damaged(cache: Path) -> list[str]:
    found = Store(cache / "bochs").find("key")
    assert found is not None
    return found.damage()


def test_what_was_kept_is_found_again(cache: Path) -> None:
    kept = keep(cache)
    found = Store(cache / "bochs").find("key")
    assert found == kept
    assert (found.content / "link").read_text() == "words"
    assert (found.info.files, found.info.size_bytes) == (3, 5)
    assert found.damage(whole=True) == []
    assert Store(cache / "bochs").find("another") is None
    assert sorted(path.name for path in (cache / "bochs").iterdir()) == ["key", "lock"]


def test_the_same_key_is_replaced(cache: Path) -> None:
    keep(cache, words="old")
    assert (keep(cache, words="new").content / "bin/tool").read_text() == "new"
    assert [entry.folder.name for entry in Store(cache / "bochs").entries()] == ["key"]


def same_size(tool: Path) -> None:
    tool.write_text("w0rds")
    os.utime(tool, ns=(0, 0))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda root: (root / "bin/tool").write_text("w"), "bin/tool: 1 bytes, not 5"),
        (lambda root: (root / "bin/tool").unlink(), "bin/tool: No such file or directory"),
        (lambda root: same_size(root / "bin/tool"), "bin/tool: its SHA-256 is another"),
        (lambda root: (root / "link").unlink(), "link: No such file or directory"),
        (
            lambda root: (root / "link").unlink() or (root / "link").symlink_to("x"),
            "link: it links elsewhere",
        ),
        (lambda root: (root.parent / "manifest.json").write_text("{}"), "its SHA-256 is another"),
        (lambda root: (root.parent / "manifest.json").unlink(), "No such file or directory"),
    ],
)
@pytest.mark.parametrize("always_read_bytes", [0, 100])
def test_damage_is_noticed(
    cache: Path, monkeypatch: pytest.MonkeyPatch, always_read_bytes: int, harm, words: str
) -> None:
    monkeypatch.setattr(cache_module, "_ALWAYS_READ_BYTES", always_read_bytes)
    harm(keep(cache).content)
    assert any(words in line for line in damaged(cache)), damaged(cache)


def test_hidden_damage_in_a_large_entry_is_remembered(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_ALWAYS_READ_BYTES", 0)
    entry = keep(cache)
    tool = entry.content / "bin/tool"
    before = tool.stat()
    tool.write_text("w0rds")
    os.utime(tool, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert damaged(cache) == []
    (item,) = items(cache, check=True)
    assert item.damage == ("bin/tool: its SHA-256 is another",)
    assert damaged(cache) == list(item.damage)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"what": "half"}'])
def test_an_entry_with_half_a_record_is_none(cache: Path, text: str) -> None:
    (keep(cache).folder / "record.json").write_text(text)
    assert Store(cache / "bochs").find("key") is None
    assert Store(cache / "bochs").entries() == []
