import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.errors import InfraError, TransientError, UnfitError
from orchestrator.packages.apt import PackagesError
from orchestrator.process.tool import ToolError, run_tool
from tests.support.places import ROOT
from tests.support.processes import lives, wait_until


def test_a_build_that_fails_is_told_by_its_errors() -> None:
    command = ["sh", "-c", "echo 'CC a'; echo 'a.c:1: error: no'; echo more; exit 2"]
    with pytest.raises(ToolError, match=r"^building: a\.c:1: error: no$"):
        run_tool(command, "building", on_line=lambda line: None)
    heard: list[str] = []
    run_tool(["sh", "-c", "echo '  CC a'; echo b"], "building", on_line=heard.append)
    assert heard == ["CC a", "b"]


@pytest.mark.parametrize(
    "words",
    [
        "write error: No space left on device",
        "Could not get lock: Resource temporarily unavailable",
    ],
)
def test_a_tool_without_room_is_no_skip(words: str) -> None:
    """Not even where the failure of this tool means that something can't be had here."""
    with pytest.raises(TransientError, match=rf"^fetching: {words}$"):
        run_tool(["sh", "-c", f"echo 'E: {words}' >&2; exit 100"], "fetching", failed=PackagesError)
    with pytest.raises(PackagesError, match=r"^fetching: no such package$"):
        run_tool(["sh", "-c", "echo no such package; exit 100"], "fetching", failed=PackagesError)


def test_a_failing_tool_is_no_skip_and_a_missing_one_is() -> None:
    with pytest.raises(InfraError, match=r"^counting: no number$"):
        run_tool(["sh", "-c", "echo E: no number >&2; exit 3"], "counting")
    with pytest.raises(InfraError, match=r"^counting: sh ended with 3$"):
        run_tool(["sh", "-c", "exit 3"], "counting")
    with pytest.raises(UnfitError, match=r"^counting: no-such-tool is not installed$"):
        run_tool(["no-such-tool"], "counting")
    assert run_tool(["sh", "-c", "echo 7; exit 3"], "counting", must=False) == "7\n"


def test_a_tool_ends_with_a_killed_process(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    program = (
        "from orchestrator.process.tool import run_tool\n"
        f"run_tool(['sh', '-c', 'echo $$ >{said}.new; mv {said}.new {said}; exec sleep 60'],"
        " 'sleeping')"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    deadline = time.monotonic() + 20
    while not said.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    pid = int(said.read_text())
    assert wait_until(lambda: not lives(pid), 20)
