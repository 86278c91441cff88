"""The examples in the docs run as they stand."""

import re
import subprocess
import sys
import tomllib

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


@pytest.mark.parametrize(("name", "text"), blocks("toml"))
def test_plans(name: str, text: str) -> None:
    assert build_plan(tomllib.loads(text), name)


def test_the_public_names() -> None:
    import orchestrator

    assert all(getattr(orchestrator, name) for name in orchestrator.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonesuch'"):
        _ = orchestrator.nonesuch
