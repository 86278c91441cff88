"""Tests that share a fixture of their file share a process; the others go to any."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.places import ROOT

FILE = """
import os
import time

import pytest

@pytest.fixture(scope="SCOPE")
def made():
    with open("SCOPE", "a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + " ")

@pytest.mark.parametrize("number", range(6))
def test_it(made, number):
    time.sleep(0.1)
"""


def test_a_fixture_of_a_file_is_made_once(tmp_path: Path) -> None:
    for scope in ("module", "function"):
        (tmp_path / f"test_{scope}.py").write_text(FILE.replace("SCOPE", scope))
    (tmp_path / "conftest.py").write_text("from tests.support.scheduling import *")
    command = [
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "--dist",
        "loadscope",
        "--no-loadscope-reorder",
        "-p",
        "no:cacheprovider",
    ]
    subprocess.run(
        [sys.executable, *command, "test_function.py", "test_module.py"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True,
    )  # fmt: skip
    processes = {scope: (tmp_path / scope).read_text().split() for scope in ("module", "function")}
    assert len(processes["module"]) == 1
    assert set(processes["function"]) == {"gw0", "gw1"}
