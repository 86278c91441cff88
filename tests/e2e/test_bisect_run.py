"""`losttick bisect run` with real runs on this computer, and with what can go wrong here."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.command import started
from tests.support.small_disk import SmallDisk

#: Few loads, under TCG, which can't show the bug.
INNER = ["run", "--accel", "tcg", "--mode", "one-shot", "--period", "50"]


def bisect_run(*options: str, **env: str) -> tuple[int, dict[str, Any], str]:
    """Return exit code, JSON and standard error of one step."""
    wanted = ["--expect-rate", "0.9", "--steps", "1", "--json", *options]
    with started("bisect", "run", *wanted, "--", *INNER, env=os.environ | env) as process:
        stdout, stderr = process.communicate()
    assert "Traceback" not in stderr
    return process.returncode, json.loads(stdout), stderr


def test_a_host_that_can_not_show_the_bug_is_no_good_commit(tmp_path: Path) -> None:
    code, said, _ = bisect_run("--out", str(tmp_path / "steps"))
    assert (code, said["git"]) == (203, "abort"), said
    assert "TCG" in said["why"]


def test_a_host_without_qemu(tmp_path: Path) -> None:
    code, said, _ = bisect_run("--out", str(tmp_path / "steps"), PATH=str(tmp_path))
    assert (code, said["git"]) == (203, "abort"), said
    assert "qemu-system-x86_64" in said["why"]


def test_a_full_disk(small_disk: Callable[[int], SmallDisk]) -> None:
    disk = small_disk(64)
    disk.take_no_more_files()
    code, said, _ = bisect_run("--out", str(disk.path / "steps"))
    assert (code, said["verdict"]) == (204, None), said
    assert "No space left on device" in said["error"]
