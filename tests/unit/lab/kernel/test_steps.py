import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.lab.kernel.steps import ModuleBuildError, Steps
from tests.support.places import ROOT


def test_a_step_that_fails_says_why() -> None:
    with pytest.raises(ModuleBuildError, match=r"^building: a\.c:1: error: no$"):
        Steps().run(["sh", "-c", "echo 'CC a'; echo 'a.c:1: error: no'; exit 2"], "building")
    heard: list[str] = []
    Steps().run(["sh", "-c", "echo '  CC a'; echo b"], "building", heard.append)
    assert heard == ["CC a", "b"]


def test_a_step_ends_with_a_killed_process(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    program = (
        "from orchestrator.lab.kernel.steps import Steps\n"
        f"Steps().run(['sh', '-c', 'echo $$ >{said}.new; mv {said}.new {said}; exec sleep 60'],"
        " 'sleeping')"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    deadline = time.monotonic() + 20
    while not said.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    pid = int(said.read_text())
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.02)
