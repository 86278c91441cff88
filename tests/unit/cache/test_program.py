"""Files of `images/` in the installed package, and the programs that are built from them."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cache.program import kept_program, shipped, static_program
from orchestrator.cache.store import let_go
from orchestrator.process.toolchain import C_TOOLS, NoToolsError
from tests.support.needs import Need, lacking
from tests.support.processes import lives, wait_until

ROOT = Path(__file__).parents[3]


def test_the_wheel_has_the_images_where_they_are_looked_for() -> None:
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    included = tables["targets"]["wheel"]["force-include"]
    for source, place in included.items():
        _, folder, name = Path(source).parts
        if folder != "tick":  # the firmware lies beside the module that reads it
            assert place == f"orchestrator/{source}"
            assert shipped(name, folder) == ROOT / source


BUILD = """
import sys
from pathlib import Path
from orchestrator.cache.program import static_program
print(static_program(Path(sys.argv[1]), Path(sys.argv[2])))
"""


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    """A program of ours; what the test used of the cache is let go."""
    if missing := [tool.name for tool in C_TOOLS if not tool.is_there]:
        lacking(Need.COMPILER, f"there is no {' and no '.join(missing)}")
    source = tmp_path / "three.c"
    source.write_text("int main(void) { return 3; }\n")
    yield source
    let_go()


def building(source: Path, cache: Path, first: str) -> "subprocess.Popen[str]":
    """Start a process that builds a program, by a compiler that does something first."""
    place = source.parent / "bin"
    place.mkdir(exist_ok=True)
    compiler = place / "cc"
    compiler.write_text(f'#!/bin/sh\n{first}\nexec {shutil.which("gcc")} "$@"\n')
    compiler.chmod(0o755)
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, str(source), str(cache)], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PATH": f"{place}:{os.environ['PATH']}"},
    )  # fmt: skip


def test_a_program_is_built_once(source: Path, tmp_path: Path) -> None:
    assert kept_program(source, tmp_path / "cache") is None
    program = static_program(source, tmp_path / "cache")
    assert subprocess.run([program], check=False).returncode == 3
    made_ns = program.stat().st_mtime_ns
    assert static_program(source, tmp_path / "cache") == program
    assert program.stat().st_mtime_ns == made_ns


def test_two_cold_builds_of_one_program_at_once_make_one(source: Path, tmp_path: Path) -> None:
    times, cache = tmp_path / "times", tmp_path / "cache"
    first = f"echo x >>{times}; sleep 0.5"
    with building(source, cache, first) as one, building(source, cache, first) as other:
        assert one.communicate(timeout=60) == other.communicate(timeout=60)
    assert one.returncode == other.returncode == 0
    assert times.read_text() == "x\n"


def test_a_build_that_is_killed_is_begun_anew(source: Path, tmp_path: Path) -> None:
    begun, cache = tmp_path / "begun", tmp_path / "cache"
    with building(source, cache, f"echo $$ >{begun}; exec sleep 60") as killed:
        assert wait_until(lambda: begun.exists() and begun.read_text() != "")
        killed.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not lives(int(begun.read_text())), 10)
    assert subprocess.run([static_program(source, cache)], check=False).returncode == 3
    assert list(cache.rglob("work-*")) == []


def test_a_flipped_byte_of_a_program_is_noticed(
    source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = static_program(source, tmp_path)
    whole = program.read_bytes()
    kept = program.stat()
    program.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    os.utime(program, ns=(kept.st_atime_ns, kept.st_mtime_ns))  # as a disk does it
    with caplog.at_level(logging.WARNING):
        assert static_program(source, tmp_path).read_bytes() == whole
    assert "three is damaged in" in caplog.text


def test_without_a_compiler_the_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoToolsError) as caught:
        static_program(shipped("agent.c"), tmp_path / "cache")
    assert str(caught.value) == (
        "building agent.c: not installed: gcc, libc.a. As root, run: "
        "apt-get update && apt-get install gcc libc6-dev"
    )
