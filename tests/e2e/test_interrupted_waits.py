"""Ctrl-C while another process builds what the command needs."""

import fcntl
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from orchestrator.cache.workshop import LOCK
from tests.support.command import started
from tests.support.needs import Need, lacking
from tests.support.processes import wait_until


def has_open(pid: int, path: Path) -> bool:
    try:
        return any(each.readlink() == path for each in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


@pytest.mark.parametrize(("command", "place"), [(["lab", "run"], "bochs"), (["probe"], "probe")])
def test_it_ends_at_once(command: list[str], place: str, tmp_path: Path) -> None:
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        lacking(Need.COMPILER, "apt-get install gcc libc6-dev")
    folder = tmp_path / "losttick" / place
    folder.mkdir(parents=True)
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    out = ["--out", str(tmp_path / "out")] if command[0] == "lab" else []
    with (folder / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with started(*command, *out, env=environment) as process:
            assert wait_until(lambda: has_open(process.pid, folder / LOCK))
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.endswith("losttick: interrupted\n")
    assert time.monotonic() - began < 30  # at once, on any machine; the lock is held for ever
