"""The firmware is the same from another binutils."""

import os
import subprocess
from pathlib import Path

import pytest

from orchestrator.guest.tick.image import firmware
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.trees import unpack
from tests.support.places import IMAGES

BUILD = IMAGES / "tick" / "build.sh"


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_same_bytes_from_each_suites_binutils(suite: str, tmp_path: Path) -> None:
    try:
        tree = unpack(suite, ["binutils"])
    except PackagesError as error:
        pytest.skip(f"needs the binutils of Debian {suite}: {error}")
    for tool in ("as", "objcopy", "objdump"):
        program, prefix = tree.command(f"usr/bin/x86_64-linux-gnu-{tool}")
        wrapper = tmp_path / tool
        wrapper.write_text(f'#!/bin/sh\nexec {" ".join(prefix)} {program} "$@"\n')
        wrapper.chmod(0o755)
    output = tmp_path / "tick.bin"
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run([BUILD, output], check=True, env=os.environ | {"PATH": path})
    assert output.read_bytes() == firmware().content
