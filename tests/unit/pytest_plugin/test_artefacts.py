"""Folders of a test's artefacts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.pytest_plugin.artefacts import Artefacts, folder_name


def artefacts(base: Path) -> Artefacts:
    item: Any = SimpleNamespace(nodeid="tests/test_a.py::test_b[x/../y]")
    return Artefacts(cast(pytest.Item, item), base, None)


def phase(when: str, *, failed: bool = False) -> Any:
    return SimpleNamespace(when=when, failed=failed, sections=[])


def test_a_name_stays_in_its_folder_and_is_no_other_tests() -> None:
    ids = ["a.py::t[../../etc]", "a.py::t[..-..-etc]", "a.py::t[" + "x" * 500, "a.py::t\x1b[31m"]
    names = [folder_name(each) for each in ids]
    assert len(set(names)) == len(ids)
    assert all(Path(name).name == name and len(name) < 100 for name in names)
    assert all(name.isascii() and name.isprintable() for name in names)


@pytest.mark.parametrize("broken", ["setup", "call", "teardown", None])
def test_they_are_kept_if_any_phase_fails(tmp_path: Path, broken: str | None) -> None:
    kept = artefacts(tmp_path)
    places = [kept.folder("run"), kept.folder("run"), kept.folder("machine")]
    assert len(set(places)) == 3
    for when in ("setup", "call", "teardown"):
        report = phase(when, failed=when == broken)
        kept.heard(report)
        assert bool(report.sections) == (when == broken)
    assert all(place.is_dir() == (broken is not None) for place in places)
    assert any(tmp_path.iterdir()) == (broken is not None)


def test_those_of_an_earlier_session_stay(tmp_path: Path) -> None:
    earlier = artefacts(tmp_path).folder("run")
    later = artefacts(tmp_path)
    assert later.folder("run") != earlier
    later.heard(phase("teardown"))
    assert [path for path in tmp_path.rglob("*") if path.name.startswith("run")] == [earlier]
