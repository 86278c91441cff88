"""An install without the network, from wheels that were made with it."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.needs import Need, lacking
from tests.support.places import DOCS

SCRIPT = DOCS / "ci" / "wheelhouse.sh"


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_losttick_is_installed_without_the_network(tmp_path: Path) -> None:
    made = subprocess.run(
        ["sh", SCRIPT, "make", tmp_path / "wheels"], capture_output=True, text=True, check=False
    )
    if "No matching distribution" in made.stderr or "Could not fetch" in made.stderr:
        lacking(Need.PACKAGES, f"a Python index: {made.stderr}")
    assert made.returncode == 0, made.stderr
    # The other computer has the folder alone, and no network.
    nowhere = {**os.environ, "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0"}
    for name in ("PYTHONPATH", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        nowhere.pop(name, None)
    command = ["sh", "wheels/wheelhouse.sh", "install", "wheels", "venv"]
    done = subprocess.run(
        command, cwd=tmp_path, env=nowhere, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = subprocess.run(
        [tmp_path / "venv" / "bin" / "losttick", "--version"], env=nowhere, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.startswith("losttick ")


def test_without_a_command_it_says_how_it_is_called() -> None:
    done = subprocess.run(["sh", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Install losttick on a computer without the network.\n")
