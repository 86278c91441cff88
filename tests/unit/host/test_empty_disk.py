"""The disk for the VM state, where no room can be had for it."""

import shutil
import tempfile
from pathlib import Path

import pytest

from orchestrator.clock import DEFAULT_DEADLINES
from orchestrator.errors import TransientError
from orchestrator.host.local import LocalHost
from orchestrator.host.local_qemu import LocalBinary
from orchestrator.testing import FACTS
from tests.support.needs import Need, lacking


async def test_a_host_without_room_for_a_disk_is_no_fault_of_losttick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("qemu-img") is None:
        lacking(Need.QEMU, "apt-get install qemu-utils")
    host = LocalHost(LocalBinary("/bin/false"), FACTS, DEFAULT_DEADLINES)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(TransientError, match=r"making an empty disk .*/gone.* Make room there"):
        await host.empty_disk()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert (await host.empty_disk()).startswith(b"QFI")
