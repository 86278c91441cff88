"""The kernel's own parser of KTAP, from Debian's linux-source, run as a program of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from orchestrator.packages.apt import PackagesError
from orchestrator.packages.suites import fetch, packages
from tests.support.needs import Need, lacking

_PACKAGE = "linux-source-6.1"

_FILES = ("kunit_parser.py", "kunit_printer.py")

#: dpkg-deb, tar and xz unpack the two files and nothing else; that takes 12 s.
_UNPACK = """
set -e
dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' | xz -dc |
tar -x -C "$2" --strip-components=4 --wildcards '*/tools/testing/kunit/kunit_p*.py'
"""

_PARSE = """
import io, json, sys
said, sys.stdout = sys.stdout, io.StringIO()  # it prints as it parses
import kunit_parser

def tree(test):
    return {"name": test.name, "status": test.status.name, "log": test.log,
            "errors": test.counts.errors, "subtests": [tree(each) for each in test.subtests]}

lines = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", newline="\\n")
found = kunit_parser.parse_run_tests(lines)
print(json.dumps(tree(found)), file=said)
"""


def _folder() -> Path:
    """Return the folder with the parser, which is fetched once."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(caches).expanduser() / "losttick-tests" / "kunit"
    if all((folder / name).exists() for name in _FILES):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    work = folder / f"work-{os.getpid()}"
    work.mkdir()
    try:
        found = [each for each in packages("bookworm", work) if each.name == _PACKAGE]
        (archive,) = fetch(found[:1], work)
        subprocess.run(["sh", "-c", _UNPACK, "sh", archive, work], check=True)
        for name in _FILES:
            (work / name).rename(folder / name)
    except PackagesError as error:
        lacking(Need.PACKAGES, f"the kernel's parser of KTAP: {error}")
    finally:
        subprocess.run(["rm", "-r", work], check=True)
    return folder


def parsed(ktap: bytes) -> dict[str, Any]:
    """Return what the kernel's parser reads: names, statuses, errors and logs, as a tree."""
    done = subprocess.run(
        [sys.executable, "-c", _PARSE], input=ktap, stdout=subprocess.PIPE, check=True,
        env={**os.environ, "PYTHONPATH": str(_folder()), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found
