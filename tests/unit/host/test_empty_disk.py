"""The disk for the VM state."""

import shutil
import tempfile
from pathlib import Path

import pytest

from orchestrator.clock import DEFAULT_DEADLINES
from orchestrator.host.local import LocalHost
from orchestrator.host.local_qemu import LocalBinary
from orchestrator.testing import FACTS
from tests.support.needs import Need, lacking


async def test_no_file_of_it_can_stay_behind_or_lack_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("qemu-img") is None:
        lacking(Need.QEMU, "apt-get install qemu-utils")
    host = LocalHost(LocalBinary("/bin/false"), FACTS, DEFAULT_DEADLINES)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert (await host.empty_disk()).startswith(b"QFI")
