"""Facts kept of a fleet are checked, as its name is a part of a path on each host."""

from pathlib import Path

import pytest

from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.ssh.kept import Kept, KeptError


@pytest.mark.parametrize("name", ["", "../..", "a/../../../x", "0" * 17, "\x1b[31m", "\xff"])
def test_a_name_that_is_not_ours_is_refused(tmp_path: Path, name: str) -> None:
    folder = FleetFolder(tmp_path)
    made = Kept(folder).id
    assert Kept(folder).id == made
    (tmp_path / "ssh" / "id").write_text(name, "latin-1")
    with pytest.raises(KeptError, match="not what losttick wrote"):
        Kept(folder)
