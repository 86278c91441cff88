from pathlib import Path

import pytest

from orchestrator.lab.emulator.build import EDITS, BochsBuildError, SourceEdit


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_bochs_finds_its_place_or_refuses(edit: SourceEdit, tmp_path: Path) -> None:
    source = tmp_path / edit.file
    source.parent.mkdir()
    source.write_text(f"a\n{edit.old}b\n")
    edit.apply(tmp_path)
    assert source.read_text() == f"a\n{edit.new}b\n"
    source.write_text(f"{edit.old}{edit.old}")
    with pytest.raises(BochsBuildError, match=rf"{edit.file} has 2 such places, not 1"):
        edit.apply(tmp_path)
