"""Commands by way of virsh."""

import subprocess
import sys
from pathlib import Path

from tests.support.processes import lives, wait_until

#: Gives a command to a virsh that takes its time.
PROGRAM = """
import asyncio, sys
from orchestrator.clock import LocalClock
from orchestrator.qmp.virsh import Virsh
asyncio.run(Virsh([sys.argv[1]], LocalClock()).execute("stop"))
"""


def test_a_command_ends_with_losttick(tmp_path: Path) -> None:
    """Else it would stop the guest after losttick's guardian has looked."""
    virsh, started = tmp_path / "virsh", tmp_path / "started"
    virsh.write_text(f"#!/bin/sh\necho $$ > {started}.new\nmv {started}.new {started}\nsleep 60\n")
    virsh.chmod(0o755)
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, virsh])
    try:
        assert wait_until(started.exists)
    finally:
        process.kill()
        process.wait()
    pid = int(started.read_text())
    assert wait_until(lambda: not lives(pid), 10)
