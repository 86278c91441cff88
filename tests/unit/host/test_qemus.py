"""QEMU binaries that a plan names and this computer does not have."""

import os
import shutil
from pathlib import Path

import pytest

from orchestrator.errors import Lack
from orchestrator.host.qemu_binary import DEFAULT_QEMU
from orchestrator.host.qemus import LocalQemus, QemuMissingError
from tests.support.needs import Need, lacking, not_applicable


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


async def test_each_reason_for_which_a_qemu_runs_as_root_is_told_once(tmp_path: Path) -> None:
    found = shutil.which(DEFAULT_QEMU)
    if found is None:
        lacking(Need.QEMU, f"{DEFAULT_QEMU} is not installed")
    if os.geteuid() != 0:
        not_applicable("only root runs QEMU as another user")
    closed = [str(tmp_path / name) for name in ("one", "two")]  # as each folder of pytest's is
    for each in closed:
        Path(each).symlink_to(found)
    told: list[str] = []
    async with LocalQemus([found, *closed], say=told.append) as qemus:
        for name in (found, *closed, *closed):
            host = await qemus.host(name)
            assert host.user.note in ["", *told]
    assert len(told) == len(set(told))
    assert any(each.startswith("QEMU runs as root, as only root may") for each in told)
    told.clear()
    async with LocalQemus(closed, qemu_user="root", say=told.append) as qemus:
        await qemus.first()
    assert told == [], "it was asked for"
