"""The firmware's image: its bytes from another binutils, and where it prints."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.tick.config import CONFIG_FILE, DEBUG_PORT, Switches, record
from orchestrator.guest.tick.image import firmware
from orchestrator.guest.tick.lines import LINE
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.trees import unpack
from tests.support.needs import Need, lacking
from tests.support.places import IMAGES
from tests.support.processes import wait_until

BUILD = IMAGES / "tick" / "build.sh"


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_same_bytes_from_each_suites_binutils(suite: str, tmp_path: Path) -> None:
    try:
        tree = unpack(suite, ["binutils"])
    except PackagesError as error:
        lacking(Need.PACKAGES, f"the binutils of Debian {suite}: {error}")
    for tool in ("as", "objcopy", "objdump"):
        program, prefix = tree.command(f"usr/bin/x86_64-linux-gnu-{tool}")
        wrapper = tmp_path / tool
        wrapper.write_text(f'#!/bin/sh\nexec {" ".join(prefix)} {program} "$@"\n')
        wrapper.chmod(0o755)
    output = tmp_path / "tick.bin"
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run([BUILD, output], check=True, env=os.environ | {"PATH": path})
    assert output.read_bytes() == firmware().content


def test_lines_go_to_the_debug_port_where_qemu_has_one(tmp_path: Path) -> None:
    """A lab's QEMU has one: a byte for it costs an emulated CPU much less than one for a UART."""
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        lacking(Need.QEMU, "apt-get install qemu-system-x86")
    (tmp_path / "tick.bin").write_bytes(firmware().content)
    told = record(GuestConfig(), Switches())
    command = [
        qemu, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc,accel=tcg",
        "-m", "8", "-bios", "tick.bin", "-fw_cfg", f"name={CONFIG_FILE},string={told}",
        "-serial", "file:uart", "-chardev", "file,id=port,path=port",
        "-device", f"isa-debugcon,iobase={DEBUG_PORT:#x},chardev=port",
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=tmp_path) as process:
        try:
            assert wait_until(lambda: (tmp_path / "port").exists())
            assert wait_until(lambda: b"\nT0 2 " in (tmp_path / "port").read_bytes())
        finally:
            process.kill()
    assert LINE.findall((tmp_path / "port").read_bytes())
    assert (tmp_path / "uart").read_bytes() == b""
