"""Properties of the suite in the JUnit file, from workers of pytest-xdist as well.

A property of a case would break the schema of Jenkins' xUnit plugin. pytest's own fixture
`record_testsuite_property` does nothing in a worker, so what was found there travels with the
test's report.
"""

from collections.abc import Callable

import pytest

from orchestrator.pytest_plugin.plugin import CARRIED, PROPERTIES


def recorder(request: pytest.FixtureRequest, told: set[str]) -> Callable[[str, str], None]:
    """Return a function that adds a property, by its name and its text.

    Args:
        request: of a fixture.
        told: the names that the session has added. Each is added once.
    """
    if hasattr(request.config, "workerinput"):  # a worker of pytest-xdist
        item: pytest.Item = request.node
        return item.stash.setdefault(PROPERTIES, {}).__setitem__
    add: Callable[[str, str], None] = request.getfixturevalue("record_testsuite_property")

    def record(name: str, text: str) -> None:
        if name not in told:
            told.add(name)
            add(name, text)

    return record


class FromWorkers:
    """Puts into the JUnit file what reports of workers carry."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._told: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the properties that a report carries, each name once."""
        for name, text in getattr(report, CARRIED, {}).items():
            if name not in self._told:
                self._told.add(name)
                for plugin in self._config.pluginmanager.get_plugins():
                    # The JUnit file's writer, as the fixture of pytest uses it.
                    if add := getattr(plugin, "add_global_property", None):
                        add(name, text)
