"""The arms of a comparison, as they took turns."""

import json
from itertools import groupby
from pathlib import Path

from orchestrator.journal.file import JOURNAL


def loads(place: Path) -> list[str]:
    """Return the arm of each load of A and B, in the order in which they happened."""
    found = [
        (record["at"], arm)
        for arm in "AB"
        for record in map(json.loads, (place / arm / JOURNAL).read_text().splitlines())
        if record["record"] == "trial" and record.get("role", "host") == "host"
    ]
    return [arm for _, arm in sorted(found)]  # the times are in milliseconds


def blocks(place: Path) -> list[str]:
    """Return the arm of each block of loads."""
    return [arm for arm, _ in groupby(loads(place))]
