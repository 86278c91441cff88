"""The examples in the docs run as they stand."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from orchestrator.plan.load import build_plan
from tests.support.places import DOCS


def blocks(language: str) -> list[tuple[str, str]]:
    return [
        (path.name, block)
        for path in sorted(DOCS.glob("*.md"))
        for block in re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.S)
    ]


@pytest.mark.parametrize(("name", "code"), blocks("python"))
def test_python(name: str, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(300)  # without a cache mypy reads the whole package first
def test_python_has_types(tmp_path: Path) -> None:
    """Users' code that follows the examples passes `mypy --strict`."""
    examples = []
    for number, (name, code) in enumerate(blocks("python")):
        examples.append(tmp_path / f"{name.removesuffix('.md')}_{number}.py")
        examples[-1].write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *examples], cwd=DOCS.parent,
        env={**os.environ, "MYPYPATH": str(DOCS.parent)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "text"), blocks("toml"))
def test_plans(name: str, text: str) -> None:
    assert build_plan(tomllib.loads(text), name)
