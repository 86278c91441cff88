"""What is in the cache is whole, and stays while someone uses it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cache import store as cache_module
from orchestrator.cache.inventory import clean, items
from orchestrator.cache.store import Entry, Record, Store, let_go
from orchestrator.cache.workshop import workshop
from orchestrator.cli import app
from orchestrator.cli.exits import ExitCode
from orchestrator.packages.apt import PackagesError, suite_sources
from orchestrator.packages.trees import unpack


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """losttick's cache folder, of our own; what was used in it is let go afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield tmp_path / "losttick"
    let_go()


def keep(cache: Path, key: str = "key", words: str = "words", place: str = "bochs") -> Entry:
    """Keep a folder with a file, a folder and a link in it."""
    with workshop(cache / place) as work:
        made = work / "made"
        (made / "bin").mkdir(parents=True)
        (made / "bin" / "tool").write_text(words)
        (made / "link").symlink_to("bin/tool")
        (made / "folder").symlink_to("bin")
        return Store(cache / place).add(key, made, Record("a tool", "1.0", time.time()))


def damaged(cache: Path) -> list[str]:
    found = Store(cache / "bochs").find("key")
    assert found is not None
    return found.damage()


def test_what_was_kept_is_found_again(cache: Path) -> None:
    kept = keep(cache)
    found = Store(cache / "bochs").find("key")
    assert found == kept
    assert (found.content / "link").read_text() == "words"
    assert (found.record.files, found.record.size_bytes) == (3, 5)
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


def test_a_workshop_is_empty_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "place" / "work-of-one-that-was-killed").mkdir(parents=True)
    with workshop(tmp_path / "place") as work:
        assert list(work.iterdir()) == []
        assert sorted(tmp_path.rglob("*")) == [work.parent, work.parent / "lock", work]
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["lock"]


def test_clean_leaves_nothing(cache: Path) -> None:
    keep(cache)
    old = cache / "debian" / "bookworm" / "package"
    old.mkdir(parents=True)
    (old.parent / "lock").touch()
    (old / "file").write_text("123")
    (cache / "probe").mkdir()
    (cache / "probe" / "program").write_text("12")
    (cache / "bochs" / "0123").write_text("an old program")
    let_go()
    done = clean(cache)
    assert done.in_use == []
    assert done.freed_bytes > 5 + 3 + 2
    assert not cache.exists()
    assert clean(cache).freed_bytes == 0


def test_clean_leaves_what_a_person_brought(cache: Path) -> None:
    brought = cache / "debs" / "bookworm" / "x.deb"
    brought.parent.mkdir(parents=True)
    brought.write_text("12")
    keep(cache)
    let_go()
    clean(cache)
    assert [path for path in cache.rglob("*") if path.is_file()] == [brought]


def test_clean_leaves_what_was_used_lately(cache: Path) -> None:
    long_ago = time.time() - 10 * 86400
    for key in ("old", "new"):
        os.utime(keep(cache, key).folder / "lock", (long_ago, long_ago))
    let_go()
    Store(cache / "bochs").find("new")
    let_go()
    assert clean(cache, older_than_s=5 * 86400).in_use == []
    assert [entry.folder.name for entry in Store(cache / "bochs").entries()] == ["new"]


USE = """
import sys
from pathlib import Path
from orchestrator.cache.store import Store
from orchestrator.cache.workshop import workshop
place = Path(sys.argv[2]) / "bochs"
if sys.argv[1] == "use":
    assert Store(place).find("key")
    print("ready", flush=True)
    sys.stdin.read()
else:
    with workshop(place):
        print("ready", flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["use", "build"])
def test_clean_leaves_what_another_process_has(cache: Path, how: str) -> None:
    entry = keep(cache)
    let_go()
    with subprocess.Popen(
        [sys.executable, "-c", USE, how, str(cache)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            assert clean(cache).in_use == [entry.folder if how == "use" else cache / "bochs"]
            assert entry.damage(whole=True) == []
        finally:
            other.kill()
    assert clean(cache).in_use == []
    assert not cache.exists()


def test_the_commands(cache: Path) -> None:
    run = CliRunner().invoke
    listed = run(app, ["lab", "list"])
    assert listed.exit_code == ExitCode.CLEAN
    assert listed.stdout.startswith(f"0 B in {cache}: `losttick lab run`")
    tool = keep(cache).content / "bin/tool"
    listed = run(app, ["lab", "list", "--check"])
    assert listed.exit_code == ExitCode.CLEAN
    assert "a tool" in listed.stdout
    assert "whole" in listed.stdout
    tool.write_text("harm")
    listed = run(app, ["lab", "list", "--check", "--json"])
    assert listed.exit_code == ExitCode.INCONCLUSIVE
    (item,) = json.loads(listed.stdout)["items"]
    assert item["damage"] == ["bin/tool: 4 bytes, not 5"]
    let_go()
    cleaned = run(app, ["lab", "clean"])
    assert cleaned.exit_code == ExitCode.CLEAN
    assert cleaned.stdout.startswith("freed ")
    assert not cache.exists()


@pytest.mark.parametrize(
    ("suite", "lines"),
    [
        ("bookworm", ["{mirror} bookworm"]),
        ("trixie-backports", ["{mirror} trixie", "{mirror} trixie-backports"]),
        ("bookworm-security", ["{mirror} bookworm", "{security} bookworm-security"]),
        ("bookworm,bookworm-security", ["{mirror} bookworm", "{security} bookworm-security"]),
        ("bookworm,trixie", ["{mirror} bookworm", "{mirror} trixie"]),
    ],
)
def test_the_sources_of_a_suite(suite: str, lines: list[str]) -> None:
    assert suite_sources(suite) == "".join(f"deb {line} main\n" for line in lines)


@pytest.mark.parametrize("suite", ["", "..", "a/b", "a,", "a b", "deb [trusted=yes]"])
def test_a_suite_is_a_name(cache: Path, suite: str) -> None:
    with pytest.raises(PackagesError, match="is no name of a suite"):
        unpack(suite, ["x"], cache)
