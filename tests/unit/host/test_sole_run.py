import secrets
import subprocess
import sys

import pytest

from orchestrator.host.sole_run import BusyHostError, sole_run
from tests.support.processes import wait_until

HOLDS = """
import sys, time
from orchestrator.host.sole_run import sole_run
with sole_run(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_dies_with_its_process() -> None:
    name = f"losttick/test-{secrets.token_hex(8)}"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, name], stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            with (
                pytest.raises(BusyHostError, match=f"another run.*ss -xap . grep {name}`"),
                sole_run(name),
            ):
                pass
        finally:
            other.kill()
    assert wait_until(lambda: free(name), 10)


def free(name: str) -> bool:
    try:
        with sole_run(name):
            return True
    except BusyHostError:
        return False
