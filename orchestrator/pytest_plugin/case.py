"""A test that uses losttick: its plan, its folders, and where its results go."""

import os
from pathlib import Path

import pytest

from orchestrator.errors import LosttickError, UnfitError
from orchestrator.pytest_plugin import marker, suite
from orchestrator.pytest_plugin.artefacts import Artefacts
from orchestrator.pytest_plugin.plugin import FOLDERS
from orchestrator.pytest_plugin.session import Session
from orchestrator.results.printable import one_line


class Case:
    """One test, as the fixtures see it."""

    def __init__(self, request: pytest.FixtureRequest, session: Session) -> None:
        item: pytest.Item = request.node
        self.session = session
        self.plan = marker.read(item).plan
        """The plan that the test's marker names; None without one."""
        self.record = suite.recorder(request, session.told)
        """Adds a property to the suite in the JUnit file."""
        self._item = item
        self._runs = 0
        if FOLDERS not in item.stash:
            temporary = None
            if session.artefacts is None:
                factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
                temporary = factory.mktemp("losttick")
            item.stash[FOLDERS] = Artefacts(item, session.artefacts, temporary)

    def named_plan(self, plan: str | os.PathLike[str]) -> str:
        """Return the name of a shipped plan, or the path of a file seen from the test's folder."""
        return marker.seen_from(self._item, plan)

    def failed(self, error: LosttickError) -> LosttickError:
        """Return an error, to be raised without losttick's own frames.

        If the host cannot do what was asked, the test is skipped instead.
        """
        __tracebackhide__ = True
        if isinstance(error, UnfitError):
            self.session.lack(str(error))
        return error.with_traceback(None)

    def next_run(self) -> str:
        """Return a name for the next run of the test, which no other run has."""
        self._runs += 1
        name: str = self._item.nodeid
        return name if self._runs == 1 else f"{name} ({self._runs})"

    def folder(self, what: str) -> Path:
        """Make a new folder for artefacts, and return it; fail the test where that can't be."""
        __tracebackhide__ = True
        try:
            return self._item.stash[FOLDERS].folder(what)
        except OSError as error:
            where = one_line(str(error.filename))
            pytest.fail(
                f"making a folder for artefacts: {where}: {error.strerror}. Name another one with "
                "--losttick-artefacts",
                pytrace=False,
            )

    def tell(self, text: str) -> None:
        """Add a text to the report of the test."""
        self._item.add_report_section("call", "losttick", text)
