"""The examples of Python and of plans in the docs run as they stand.

`tests/unit/test_docs.py` runs those of the command line.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.plan.load import build_plan
from tests.support.docs import Block, blocks
from tests.support.places import DOCS


@pytest.mark.parametrize(
    "block",
    [block for block in blocks("python") if not block.mark],
    ids=lambda block: block.name,
)
def test_python(block: Block) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block.text], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(300)  # without a cache mypy reads the whole package first
def test_python_has_types(tmp_path: Path) -> None:
    """Users' code that follows the examples passes `mypy --strict`."""
    examples = []
    for number, block in enumerate(blocks("python")):
        examples.append(tmp_path / f"{block.page.stem.replace('-', '_')}_{number}.py")
        examples[-1].write_text(block.text)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *examples], cwd=DOCS.parent,
        env={**os.environ, "MYPYPATH": str(DOCS.parent)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.name)
def test_plans(block: Block) -> None:
    table = tomllib.loads(block.text)
    assert FleetFile.model_validate(table) if "engine" in table else build_plan(table, block.name)
