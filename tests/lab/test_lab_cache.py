"""Packages in the cache, with the real apt and dpkg-deb and small packages of our own."""

import functools
import hashlib
import io
import logging
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cache.inventory import clean, items
from orchestrator.cache.store import let_go
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.sources import source_archive
from orchestrator.packages.trees import Unpacked, unpack
from orchestrator.process.tool import ToolError
from tests.support.needs import Need, lacking
from tests.support.processes import marked_processes, wait_until

TOOLS = ("apt-get", "dpkg-deb")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of our own on a machine without network; what was used in it is let go."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        lacking(Need.PACKAGES, f"there is no {' and no '.join(missing)}")
    offline = tmp_path / "apt.conf"
    closed = "http://127.0.0.1:9/"
    offline.write_text(
        f'Acquire::http::Proxy "{closed}";\nAcquire::https::Proxy "{closed}";\n'
        'Acquire::Retries "0";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(offline))
    yield tmp_path / "a cache"  # the blank is a trap
    let_go()


def bring(cache: Path, name: str, version: str = "1.0", depends: str = "") -> Path:
    """Put a package of one file into the folder of files brought by hand."""
    tree = cache.parent / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@x>\n"
        f"Description: x\n" + (f"Depends: {depends}\n" if depends else "")
    )
    (tree / "usr").mkdir()
    (tree / "usr" / name).write_text(version)
    place = cache / "debs" / "bookworm"
    place.mkdir(parents=True, exist_ok=True)
    archive = place / f"{name}_{version.replace(':', '%3a')}_all.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-b", tree, archive], check=True, capture_output=True
    )
    shutil.rmtree(tree)
    return archive


def files(unpacked: Unpacked) -> dict[str, str]:
    return {path.name: path.read_text() for path in (unpacked.root / "usr").iterdir()}


def test_packages_brought_by_hand(cache: Path) -> None:
    brought = {bring(cache, "app", "1:2.0~x", "lib (>= 1)"), bring(cache, "lib")}
    bring(cache, "other")
    unpacked = unpack("bookworm", ["app"], cache)
    assert files(unpacked) == {"app": "1:2.0~x", "lib": "1.0"}
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in brought}
    assert {archive.sha256 for archive in unpacked.archives} == digests
    versions = {archive.name: archive.version for archive in unpacked.archives}
    assert versions == {"app": "1:2.0~x", "lib": "1.0"}
    assert all(archive.by_hand for archive in unpacked.archives)
    (item,) = (item for item in items(cache, check=True) if item.kind == "packages")
    assert (item.what, item.version, item.damage) == (("app of bookworm",), "1:2.0~x", ())


def test_a_warm_cache_needs_no_tool(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(cache, "app")
    bring(cache, "lib")
    unpacked = unpack("bookworm", ["app", "lib"], cache)
    shutil.rmtree(cache / "debs")
    monkeypatch.setenv("PATH", "/nowhere")
    assert unpack("bookworm", ["lib", "app", "app"], cache) == unpacked


def test_a_version_can_be_pinned(cache: Path) -> None:
    bring(cache, "app", "1.0")
    bring(cache, "app", "2.0")
    assert files(unpack("bookworm", ["app"], cache)) == {"app": "2.0"}
    assert files(unpack("bookworm", ["app=1.0"], cache)) == {"app": "1.0"}


def test_an_answer_stands_until_a_refresh(cache: Path) -> None:
    bring(cache, "app", "1.0")
    old = unpack("bookworm", ["app"], cache)
    bring(cache, "app", "2.0")
    assert files(unpack("bookworm", ["app"], cache)) == {"app": "1.0"}
    assert files(unpack("bookworm", ["app"], cache, refresh=True)) == {"app": "2.0"}
    assert files(unpack("bookworm", ["app"], cache)) == {"app": "2.0"}
    assert files(old) == {"app": "1.0"}  # whoever uses it keeps it


def test_the_same_files_are_kept_once(cache: Path) -> None:
    bring(cache, "app", depends="lib")
    bring(cache, "lib")
    assert unpack("bookworm", ["app"], cache) == unpack("bookworm", ["app=1.0", "lib"], cache)
    (item,) = (item for item in items(cache) if item.kind == "packages")
    assert sorted(item.what) == ["app of bookworm", "app=1.0 lib of bookworm"]


def test_nothing_there(cache: Path) -> None:
    with pytest.raises(PackagesError) as caught:
        unpack("bookworm", ["app"], cache)
    words = str(caught.value)
    assert words.startswith("fetching app of bookworm: ") or "apt for its mirror" in words
    assert f"put the .deb files of app, and of all they need, into {cache}/debs/bookworm" in words
    assert f"or copy {cache} from a computer that has them" in words


def test_half_of_it_there(cache: Path) -> None:
    bring(cache, "app", depends="lib")
    with pytest.raises(PackagesError, match=r"do not suffice .*app : Depends: lib.*: add those"):
        unpack("bookworm", ["app"], cache)


def test_what_is_brought_is_a_package(cache: Path) -> None:
    bring(cache, "app").write_bytes(b"a page that says: not found")
    # A tool that fails is no reason to skip.
    with pytest.raises(ToolError, match=r"reading .*app_1\.0_all\.deb: dpkg-deb: error"):
        unpack("bookworm", ["app"], cache)


def test_damage_is_named_and_mended(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    archive = bring(cache, "app")
    unpacked = unpack("bookworm", ["app"], cache)
    (unpacked.root / "usr" / "app").write_text("?")
    with caplog.at_level(logging.WARNING):
        assert files(unpack("bookworm", ["app"], cache)) == {"app": "1.0"}
    assert "app of bookworm is damaged" in caplog.text
    assert "usr/app: 1 bytes, not 3" in caplog.text
    (unpacked.root / "usr" / "app").write_text("?")
    archive.unlink()
    with pytest.raises(PackagesError, match=r"put the \.deb files of app"):
        unpack("bookworm", ["app"], cache)


UNPACK = """
import sys
from pathlib import Path
from orchestrator.packages.trees import unpack
print(unpack("bookworm", ["app"], Path(sys.argv[1])).root)
"""


def unpacking(cache: Path, dpkg_deb: str = "", marker: str = "") -> "subprocess.Popen[str]":
    """Start a process that unpacks, with a dpkg-deb that first does something of its own."""
    place = cache.parent / "bin"
    place.mkdir(exist_ok=True)
    tool = place / "dpkg-deb"
    tool.write_text(f'#!/bin/sh\nif [ "$1" = -x ]; then {dpkg_deb or ":"}; fi\n'
                    f'exec {shutil.which("dpkg-deb")} "$@"\n')  # fmt: skip
    tool.chmod(0o755)
    environment = os.environ | {"PATH": f"{place}:{os.environ['PATH']}", "LOSTTICK_TEST": marker}
    return subprocess.Popen(
        [sys.executable, "-c", UNPACK, str(cache)], env=environment, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def test_a_process_killed_at_work_leaves_nothing_in_the_way(cache: Path) -> None:
    bring(cache, "app", depends="lib")
    bring(cache, "lib")
    begun, marker = cache.parent / "begun", f"cache-{os.getpid()}"
    # The first is unpacked, the second never will be.
    second = f'case "$2" in *lib*) touch {begun}; sleep 1000;; esac'
    with unpacking(cache, second, marker) as killed:
        assert wait_until(begun.exists)
        killed.send_signal(signal.SIGKILL)
    running = functools.partial(marked_processes, marker)
    # The script's own child is not ours to end.
    for pid, command in running().items():
        if "sleep" in command:
            os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not running(), 10), running()
    # What is left has no version: it is no tree, however large the files of apt in it are.
    trees = [item for item in items(cache) if item.kind == "packages" and item.version]
    assert trees == []
    assert files(unpack("bookworm", ["app"], cache)) == {"app": "1.0", "lib": "1.0"}
    assert list((cache / "packages").rglob("work-*")) == []


def test_two_processes_fetch_once(cache: Path) -> None:
    bring(cache, "app")
    times = cache.parent / "times"
    slow = f"echo x >>{times}; sleep 1"
    with unpacking(cache, slow) as one, unpacking(cache, slow) as other:
        assert one.communicate(timeout=60) == other.communicate(timeout=60)
    assert one.returncode == other.returncode == 0
    assert times.read_text() == "x\n"


def test_clean_removes_all_of_it(cache: Path) -> None:
    bring(cache, "app")
    unpack("bookworm", ["app"], cache)
    assert [path.parent.name for path in clean(cache).in_use] == ["trees"]  # we use it
    assert files(unpack("bookworm", ["app"], cache)) == {"app": "1.0"}
    let_go()
    shutil.rmtree(cache / "debs")
    assert clean(cache).in_use == []
    assert not cache.exists()


def test_a_source_archive_brought_by_hand(cache: Path, tmp_path: Path) -> None:
    place = cache / "debs" / "trixie"
    place.mkdir(parents=True)
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w:xz"):
        pass
    (place / "bochs_3.0.orig.tar.xz").write_bytes(text.getvalue())
    sha256 = hashlib.sha256(text.getvalue()).hexdigest()
    fetch = functools.partial(source_archive, "trixie", "bochs", cache=cache)
    found = fetch(tmp_path / "first", sha256=sha256)
    assert found.name == "bochs_3.0.orig.tar.xz"
    shutil.rmtree(place)
    assert fetch(tmp_path / "second", sha256=sha256) == found
    with pytest.raises(PackagesError, match=r"put bochs_\*\.orig\.tar\.\* into .*debs/trixie"):
        fetch(tmp_path / "third", sha256="0" * 64)
