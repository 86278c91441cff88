"""The programs that read recipes and exports: each must accept them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.needs import Need, lacking

#: Run by the interpreter for which Debian has lava-common.
_LAVA = """
import json, sys
import voluptuous
from lava_common.schemas import validate
from lava_common.schemas.test.testdef import testdef
job, test = json.load(sys.stdin)
validate(job)
voluptuous.Schema(testdef())(test)
"""


def yaml(path: Path) -> Any:
    """Return the data of a YAML file."""
    return YAML(typ="safe").load(path)


def program(name: str, hint: str) -> str:
    """Return a program beside this Python, or on PATH."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return found or lacking(Need.RECIPES, f"{name} ({hint})")


def checked(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program that must end with 0, and return its output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def lava_accepts(job: Any, test: Any) -> None:
    """Check a job and a test definition by LAVA's own schemas."""
    there = subprocess.run(
        ["/usr/bin/python3", "-c", "import lava_common.schemas"], capture_output=True, check=False
    )
    if there.returncode:
        lacking(Need.RECIPES, "lava_common (apt-get install lava-common)")
    done = subprocess.run(
        ["/usr/bin/python3", "-c", _LAVA], input=json.dumps([job, test]), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
