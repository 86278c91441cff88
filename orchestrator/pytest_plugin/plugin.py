"""The hooks and fixtures that pytest loads by the entry point `losttick`.

pytest imports this module in every session of every project that has losttick installed. What
takes long to import is therefore imported by the fixture that needs it.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from orchestrator.host.local import LocalHost
    from orchestrator.host.protocol import Host
    from orchestrator.pytest_plugin.artefacts import Artefacts
    from orchestrator.pytest_plugin.case import Case
    from orchestrator.pytest_plugin.machines import Machines
    from orchestrator.pytest_plugin.session import Session
    from orchestrator.pytest_plugin.survive import AsyncTicksSurvive, TicksSurvive
    from orchestrator.snapshot.method import Method

#: Of a session: the loop and the host.
SESSION: "pytest.StashKey[Session]" = pytest.StashKey()

#: Of a test: the folders of its runs and machines.
FOLDERS: "pytest.StashKey[Artefacts]" = pytest.StashKey()

#: Of a test in a worker of pytest-xdist: properties for the JUnit file, by name.
PROPERTIES: pytest.StashKey[dict[str, str]] = pytest.StashKey()

#: The attribute of a worker's report that carries these properties.
CARRIED = "losttick_properties"

_MARKER = (
    "losttick(plan=NAME or FILE, require='kvm' or 'apicv'): the plan of assert_ticks_survive() "
    "(FILE is relative to the test's folder), and what the host must have, or the test is skipped"
)

#: pytest-asyncio, as its entry point and as `-p` names it.
_ASYNCIO = ("asyncio", "pytest_asyncio.plugin", "pytest_asyncio")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, which all begin with `--losttick-`."""
    group = parser.getgroup("losttick", "timer ticks after the load of a snapshot (losttick)")
    group.addoption(
        "--losttick-artefacts", metavar="DIR", type=Path,
        help="keep journals, evidence and console logs of failed tests in DIR; by default they "
        "are in pytest's folder for temporary files",
    )  # fmt: skip
    group.addoption(
        "--losttick-qemu", metavar="QEMU",
        help="the QEMU binary; by default qemu-system-x86_64 on PATH",
    )  # fmt: skip
    group.addoption(
        "--losttick-must-run", action="store_true",
        help="fail the tests that losttick would skip because this host cannot run them",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; add the async fixtures where pytest-asyncio is in use."""
    config.addinivalue_line("markers", _MARKER)
    if config.getoption("dist", "no") != "no":  # of pytest-xdist
        from orchestrator.pytest_plugin.suite import FromWorkers

        config.pluginmanager.register(FromWorkers(config), "losttick-suite")
    if any(map(config.pluginmanager.has_plugin, _ASYNCIO)):
        from orchestrator.pytest_plugin import async_fixtures

        config.pluginmanager.register(async_fixtures, "losttick-async")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse markers that cannot be understood, before any test runs."""
    if hasattr(config, "workerinput"):  # pytest-xdist would show the usage error as a crash
        return
    if marked := [item for item in items if item.get_closest_marker("losttick")]:
        from orchestrator.pytest_plugin import marker

        marker.check(marked)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose marker requires what this host lacks."""
    __tracebackhide__ = True
    if item.get_closest_marker("losttick") is None:
        return
    from orchestrator.pytest_plugin import marker

    try:
        required = marker.read(item).require
    except pytest.UsageError as error:
        pytest.fail(str(error), pytrace=False)
    if required:
        _session(item.config).require(required)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say in a report where the artefacts are, and keep only those of a failed test."""
    report = yield
    if FOLDERS in item.stash:
        item.stash[FOLDERS].heard(report)
    if report.when == "teardown" and PROPERTIES in item.stash:
        setattr(report, CARRIED, item.stash[PROPERTIES])
    return report


@pytest.fixture(scope="session")
def losttick_host(pytestconfig: pytest.Config) -> "LocalHost":
    """Give this computer with its QEMU. Without a QEMU, the test is skipped."""
    return _session(pytestconfig).host()


@pytest.fixture
def losttick_methods(losttick_host: "Host") -> "tuple[Method, ...]":
    """Give the snapshot methods that this QEMU has."""
    from orchestrator.pytest_plugin.methods import methods

    return methods(losttick_host)


@pytest.fixture
def losttick_machine(request: pytest.FixtureRequest, losttick_host: "Host") -> "Iterator[Machines]":
    """Give a function that starts virtual machines. They end with the test."""
    from orchestrator.pytest_plugin.machines import Machines

    with Machines(case_of(request), losttick_host) as machines:
        yield machines


@pytest.fixture
def assert_ticks_survive(request: pytest.FixtureRequest, losttick_host: "Host") -> "TicksSurvive":
    """Give a function that fails the test unless ticks survive the load of a snapshot."""
    from orchestrator.pytest_plugin.survive import TicksSurvive

    return TicksSurvive(case_of(request), losttick_host)


@pytest.fixture
def assert_ticks_survive_async(
    request: pytest.FixtureRequest, losttick_host: "Host"
) -> "Iterator[AsyncTicksSurvive]":
    """Give the same function for coroutines, which await its calls."""
    from orchestrator.pytest_plugin.survive import AsyncTicksSurvive

    survive = AsyncTicksSurvive(case_of(request), losttick_host)
    yield survive
    survive.check_awaited()


def _session(config: pytest.Config) -> "Session":
    from orchestrator.pytest_plugin.session import Session

    if SESSION not in config.stash:
        config.stash[SESSION] = Session(config)
    return config.stash[SESSION]


def case_of(request: pytest.FixtureRequest) -> "Case":
    """Return the test that requests a fixture."""
    from orchestrator.pytest_plugin.case import Case

    return Case(request, _session(request.config))
