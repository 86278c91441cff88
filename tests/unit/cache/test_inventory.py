import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cache.inventory import clean
from orchestrator.cache.store import Store, let_go
from orchestrator.cli.app import whole_app
from orchestrator.cli.exits import ExitCode
from tests.support.cache_entries import keep


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
    listed = run(whole_app(), ["lab", "list"])
    assert listed.exit_code == ExitCode.CLEAN
    assert listed.stdout.startswith(f"0 B in {cache}: `losttick lab run`")
    tool = keep(cache).content / "bin/tool"
    listed = run(whole_app(), ["lab", "list", "--check"])
    assert listed.exit_code == ExitCode.CLEAN
    assert "a tool" in listed.stdout
    assert "whole" in listed.stdout
    tool.write_text("harm")
    listed = run(whole_app(), ["lab", "list", "--check", "--json"])
    assert listed.exit_code == ExitCode.UNFIT
    (item,) = json.loads(listed.stdout)["items"]
    assert item["damage"] == ["bin/tool: 4 bytes, not 5"]
    let_go()
    cleaned = run(whole_app(), ["lab", "clean"])
    assert cleaned.exit_code == ExitCode.CLEAN
    assert cleaned.stdout.startswith("freed ")
    assert not cache.exists()
