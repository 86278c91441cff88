"""A QEMU that another user owns can't lead losttick out of the folder that they share."""

import os
import socket
from pathlib import Path

import pytest

from orchestrator.host.attached_qemu import AttachedQemu


async def test_only_a_file_is_read(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "qmp"))
        listener.listen()
        qemu = AttachedQemu.connect(str(tmp_path / "qmp"), [])
    dump = Path(qemu.dump_file)
    try:
        dump.write_bytes(b"memory")
        assert await qemu.read_file(dump.name) == b"memory"
        dump.unlink()
        dump.symlink_to(precious)
        with pytest.raises(OSError, match="Too many levels"):
            await qemu.read_file(dump.name)
        dump.unlink()
        os.mkfifo(dump)  # nobody writes to it: a reader would wait for ever
        with pytest.raises(OSError, match="not a regular file"):
            await qemu.read_file(dump.name)
    finally:
        qemu.qmp.close()
        await qemu.release()
    assert not dump.parent.exists()
