"""What the tests of the lab share. A cold cache is allowed: then everything is fetched."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import UnfitError
from orchestrator.lab.emulator.bochs import Bochs, bochs
from tests.support.needs import Need, lacking
from tests.support.places import ROOT

UNIT = ROOT / "tests" / "unit"


@pytest.hookimpl(trylast=True)  # when it is known which tests run
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: at the end, nobody should wait for one test alone.

    The first lab builds the emulator and fetches its kernels. Meanwhile the other process runs
    unit tests: a second lab would only wait for them.
    """
    long = [item for item in items if item.get_closest_marker("long")]
    unit = [item for item in items if UNIT in item.path.parents]
    first = [*long[:1], *unit, *long[1:]]
    begun = set(first)
    items[:] = [*first, *(item for item in items if item not in begun)]


@pytest.fixture(scope="session")
def emulator() -> Bochs:
    try:
        return asyncio.run(bochs())
    except UnfitError as error:
        lacking(Need.LAB, f"Bochs: {error}")


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of our own, empty again after each test."""
    place = tmp_path / "runtime"
    place.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    yield place
    assert list(place.iterdir()) == []
