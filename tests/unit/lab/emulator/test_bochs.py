from pathlib import Path

import pytest

from orchestrator.errors import UnfitError
from orchestrator.lab.emulator.bochs import Bochs


def test_an_unedited_bochs_refuses_kernels_that_show_its_own_bug() -> None:
    ours = Bochs(("bochs",), Path("bios"), Path("vga"), "Debian's own Bochs", unedited=True)
    ours.check_fit_for("6.1.0-49-cloud-amd64")
    with pytest.raises(UnfitError, match=r"as 5\.10\.0-32 is\. Install a compiler"):
        ours.check_fit_for("5.10.0-32")
