"""What the tests of the lab share. A cold cache is allowed: then everything is fetched."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import UnfitError
from orchestrator.lab.emulator.bochs import Bochs, bochs
from tests.support.needs import Need, lacking


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: at the end, nobody should wait for one test alone."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


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
