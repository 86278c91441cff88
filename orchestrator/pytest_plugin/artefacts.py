"""The folders of a test's runs and machines, which are kept only if the test fails."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from orchestrator.results.printable import one_line

#: Longest part of a test's name in the name of its folder, in characters.
_LONGEST = 80


class Artefacts:
    """The folders of one test."""

    def __init__(self, item: pytest.Item, base: Path | None, temporary: Path | None) -> None:
        """Make nothing yet.

        Args:
            item: the test.
            base: the folder for the artefacts of all tests.
            temporary: the test's own folder, if there is no `base`.
        """
        self._item = item
        assert base or temporary
        self._place = base / folder_name(item.nodeid) if base else Path(temporary or "")
        self._made: list[Path] = []
        self._failed = False

    def folder(self, what: str) -> Path:
        """Make a new folder, and return it.

        Args:
            what: begins the folder's name, such as `run`.
        """
        self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = 1
        while True:  # an earlier session, or an earlier try of the test, may have left some
            place = self._place / f"{what}-{number}"
            try:
                place.mkdir(mode=0o700)
            except FileExistsError:
                number += 1
                continue
            self._made.append(place)
            return place

    def heard(self, report: pytest.TestReport) -> None:
        """Hear of a phase of the test; after the last one, remove what nobody needs."""
        self._failed |= report.failed
        if report.failed and self._made:
            kept = "\n".join(one_line(str(place)) for place in self._made)
            report.sections.append(("losttick artefacts", kept))
        if report.when == "teardown" and not self._failed:
            for place in self._made:
                shutil.rmtree(place, ignore_errors=True)
            self._remove_empty()

    def _remove_empty(self) -> None:
        try:
            self._place.rmdir()
        except OSError:  # an earlier session's artefacts are in it, or nothing was made
            return


def folder_name(nodeid: str) -> str:
    """Return a name for the folder of a test: readable, and no other test's."""
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", nodeid).strip("-.")[-_LONGEST:]
    return f"{readable}-{hashlib.sha256(nodeid.encode()).hexdigest()[:8]}"
