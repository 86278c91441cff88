"""`losttick lab run`, as its user gives it."""

import json
from pathlib import Path
from typing import Any

from tests.support.command import started
from tests.support.journal import journal_dicts
from tests.support.needs import Need, lacking

TRIALS = 20


def lab_run(out: Path, *options: str, trials: int = TRIALS) -> dict[str, Any]:
    """Run `losttick lab run --json`; skip with its own words where something can't be had.

    One lab at a time: several tests run side by side.
    """
    with started(
        "lab", "run", "--trials", str(trials), "--out", str(out), "--json", "--parallel=1", *options
    ) as process:
        stdout, stderr = process.communicate()
    assert "Traceback" not in stderr
    found: dict[str, Any] = json.loads(stdout)
    if "error" in found and process.returncode == 3:
        lacking(Need.LAB, found["error"])
    assert "error" not in found, found
    for cell in found["cells"]:
        if cell["verdict"] == "skipped":
            lacking(Need.LAB, f"{cell['lab']['version']}: {cell['why']}")
    return found


def arms(found: dict[str, Any]) -> dict[tuple[str, bool], dict[str, Any]]:
    return {(c["lab"]["variant"], c["lab"]["apicv"]): c for c in found["cells"]}


def records(out: Path, kind: str) -> list[dict[str, Any]]:
    return [r for r in journal_dicts(out / "journal.jsonl") if r["record"] == kind]


def traces(out: Path, cell: dict[str, Any]) -> list[str]:
    """Return the reading of the kernel's trace for each lost load; controls are left out."""
    return [
        trial["diagnoses"][0].get("trace")
        for trial in records(out, "trial")
        if trial["cell"] == cell["id"]
        and trial.get("role", "host") == "host"
        and trial["outcome"] == "lost"
    ]


def assert_frozen(cell: dict[str, Any], trials: int = TRIALS) -> None:
    """At least 19 of 20 lost, so all of fewer, and every loss diagnosed as the bug's."""
    assert cell["trials"] == trials
    lost = cell["outcomes"]["lost"]
    assert lost >= 19 / 20 * trials
    assert cell["diagnoses"] == {"lost one-shot interrupt": lost}
    assert cell["verdict"] == "affected", cell["why"]
    assert all(control["seen"] for control in cell["controls"])
