"""No result depends on CLOCK_REALTIME, which an administrator or NTP may set at any time."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.places import PACKAGE

#: Modules that may read the time of day, and what for. None of them decides about a trial.
ALLOWED = {
    "cache/inventory.py": "an entry's age, for `lab list` and `lab clean --older-than`",
    "cache/program.py": "the date of an entry of the cache",
    "cache/store.py": "the time of an entry's last use",
    "cli/bisect/inner_command.py": "whether a tree was built before its checkout",
    "cli/bisect/run.py": "the name of a step's folder",
    "cli/history/prune.py": "the age of a run whose folder may go",
    "cli/out.py": "the name of an output folder",
    "fleet/begin.py": "the name of a fleet's folder",
    "fleet/ssh/host_side.py": "a host's clock, to tell that it is wrong",
    "fleet/ssh/visit.py": "how far a host's clock is from this one",
    "fleet/ssh/watch.py": "when a run began and ended, for its reader",
    "journal/line.py": "the time of a record, for its reader",
    "journal/record_log.py": "the time of a record, for its reader",
    "lab/emulator/bochs.py": "the date of an entry of the cache",
    "lab/kernel/commit_image.py": "the date of an entry of the cache",
    "lab/kernel/commit_modules.py": "the date of an entry of the cache",
    "lab/kernel/modules.py": "the date of an entry of the cache",
    "packages/debian_kernel.py": "the age of a package list",
    "packages/kernel_index.py": "the age of a package list",
    "packages/kernel_store.py": "the date of an entry of the cache",
    "packages/sources.py": "the date of an entry of the cache",
    "packages/suites.py": "the age of a package list",
    "packages/trees.py": "the date of an entry of the cache",
}

#: Attributes that read the time of day, or the time of a file by it.
WALL = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow")}
OTHERS = {"st_mtime", "CLOCK_REALTIME"}
NAMES = OTHERS | {name for _, name in WALL}


def readings(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in NAMES:
            owner = ast.unparse(node.value).rpartition(".")[2]
            if (owner, node.attr) in WALL or node.attr in OTHERS:
                yield node.lineno


def test_only_dates_are_read_from_it() -> None:
    found = {
        str(path.relative_to(PACKAGE)): lines
        for path in sorted(PACKAGE.rglob("*.py"))
        if (lines := list(readings(path)))
    }
    assert set(found) <= set(ALLOWED), {name: found[name] for name in set(found) - set(ALLOWED)}
