"""QEMU binaries that a plan names and this computer does not have."""

from pathlib import Path

import pytest

from orchestrator.errors import Lack
from orchestrator.host.qemu_binary import DEFAULT_QEMU
from orchestrator.host.qemus import LocalQemus, QemuMissingError


@pytest.mark.parametrize("name", [DEFAULT_QEMU, "no-such-qemu"])
async def test_a_cell_whose_qemu_is_missing_lacks_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with LocalQemus([DEFAULT_QEMU, "no-such-qemu"]) as qemus:
        with pytest.raises(QemuMissingError, match=name) as caught:
            async with qemus.opener(name)():
                pass
    assert caught.value.lacks is Lack.QEMU
