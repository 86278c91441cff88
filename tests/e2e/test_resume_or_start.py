"""`losttick run --resume-or-start`: one command begins a run, continues it and prints it again."""

import json
import os
import subprocess
from pathlib import Path

from tests.support.command import losttick_command, started
from tests.support.journal import journal_dicts
from tests.support.steps import steps

RUN = (
    "run", "--accel", "tcg", "--period", "10", "--trials", "8", "--rule-out", "0.5", "--controls",
    "0", "--seed", "1", "--out", "out", "--resume-or-start", "--expect-kernel", os.uname().release,
)  # fmt: skip


def test_a_killed_run_goes_on_by_the_same_command(tmp_path: Path) -> None:
    with steps(tmp_path / "events") as events, started(
        *RUN, "--events", "events", cwd=tmp_path
    ) as first:  # fmt: skip
        events.wait_for("attempt_ends", 2)
        first.kill()
        first.wait(timeout=20)
    before = (tmp_path / "out" / "journal.jsonl").read_bytes()
    for _ in range(2):
        done = subprocess.run(
            losttick_command(*RUN, "--json"), cwd=tmp_path, capture_output=True, text=True,
            timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 6, done.stderr  # without a control nothing is clean
        (cell,) = json.loads(done.stdout)["cells"]
        assert sum(cell["outcomes"].values()) == 8
    records = journal_dicts(tmp_path / "out" / "journal.jsonl")
    assert (tmp_path / "out" / "journal.jsonl").read_bytes().startswith(before.rpartition(b"\n")[0])
    assert [each["record"] for each in records].count("resumed") == 1
