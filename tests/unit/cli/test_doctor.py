"""`losttick doctor --fix` and signals: a package manager is never left halfway."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import heed
from tests.support.processes import wait_until

#: Installs two packages, each by a mend of its own, and can clean up for a moment only.
PROGRAM = """
import os, sys, typer
from orchestrator.cli import doctor, interrupts
from orchestrator.cli.exits import errors_to_exits, run_async
from orchestrator.doctor.findings import Checkup, Finding
from orchestrator.doctor.mends import install
from orchestrator.testing.host import FACTS
from tests.support.exposures import EXPOSED

interrupts.END_S, interrupts.SECOND_S = 0.2, 0.1
os.geteuid = lambda: 0
bad = [Finding(name, False, "", install(name)) for name in ("one", "two")]

async def look():
    return Checkup(FACTS, EXPOSED, tuple(bad))

try:
    with errors_to_exits(as_json=False):
        run_async(lambda: doctor._doctor(look, fix=True, as_json=False))
except typer.Exit as end:
    sys.exit(end.exit_code)
"""

#: Its child goes on until it may end, as dpkg does.
APT = """#!/bin/sh
[ "$2" = update ] && exit
sh -c 'touch begun; while [ ! -e may_end ]; do sleep 0.05; done; echo "set up $0" >>ends' "$4"
echo end of "$4" >>ends
"""


@pytest.mark.parametrize(
    ("number", "times"), [(signal.SIGINT, 3), (signal.SIGTERM, 1), (signal.SIGHUP, 1)]
)
def test_a_signal_waits_for_the_package_manager(
    tmp_path: Path, number: signal.Signals, times: int
) -> None:
    (apt := tmp_path / "apt-get").write_text(APT)
    apt.chmod(0o755)
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        stdout=subprocess.DEVNULL, preexec_fn=heed,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}",
                          "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert wait_until((tmp_path / "begun").exists)
    for _ in range(times):
        program.send_signal(number)
        assert program.stderr is not None
        said = program.stderr.readline()
        assert said.startswith("interrupted: waiting for the command that runs"), said
    (tmp_path / "may_end").touch()
    _, rest = program.communicate(timeout=30)
    assert program.returncode == 130
    assert (tmp_path / "ends").read_text() == "set up one\nend of one\n"
    assert "did: apt-get install -y --no-install-recommends one" in rest
    assert rest.endswith("losttick: interrupted\n")
