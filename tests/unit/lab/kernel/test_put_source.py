"""The source of KVM's modules, put in the place of another one."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.lab.kernel.modules import put_source

KVM = "arch/x86/kvm"


@pytest.fixture
def common(tmp_path: Path) -> Path:
    """The headers' tree, in which modules are built."""
    place = tmp_path / "tree/usr/src/linux-headers-9"
    place.mkdir(parents=True)
    return place


def put(tmp_path: Path, name: str, **files: str) -> None:
    source = tmp_path / name
    for file, text in files.items():
        (source / KVM).mkdir(parents=True, exist_ok=True)
        (source / KVM / f"{file}.c").write_text(text)
    put_source(SimpleNamespace(release="9", version="9"), tmp_path / "tree", source)  # type: ignore[arg-type]  # all that is asked


def built(tmp_path: Path) -> None:
    (tmp_path / "tree/building").unlink()


def test_only_what_differs_is_written_and_what_is_gone_is_removed(
    common: Path, tmp_path: Path
) -> None:
    put(tmp_path, "one", kept="k", changed="1", gone="g")
    (common / KVM / "kept.o").write_text("an object")
    built(tmp_path)
    before = (common / KVM / "kept.c").stat()
    put(tmp_path, "two", kept="k", changed="2", new="n")
    assert (common / KVM / "kept.c").stat() == before, "make would compile it again"
    texts = {path.name: path.read_text() for path in (common / KVM).iterdir()}
    assert texts == {"kept.c": "k", "changed.c": "2", "new.c": "n", "kept.o": "an object"}


def test_objects_of_a_killed_build_are_not_trusted(common: Path, tmp_path: Path) -> None:
    put(tmp_path, "one", kept="k", gone="g")
    (common / KVM / "kept.o").write_text("torn")
    put(tmp_path, "two", kept="k")
    assert [path.name for path in (common / KVM).iterdir()] == ["kept.c"]
