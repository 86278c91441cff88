"""The logs of labs' serial ports: in the output folder, and in no other place."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.journal.file import JournalError
from orchestrator.journal.out_folder import OutFolderError
from orchestrator.lab import labs as module
from orchestrator.lab.arms import Arm
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.kernel.debian import Debian
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.lab.kernel.variants import Variant
from orchestrator.lab.labs import LabParts, Labs
from orchestrator.testing import FACTS
from orchestrator.vm.tee import Tee
from tests.support.foreign_user import OtherUser

PARTS = LabParts(Bochs(Path("bochs"), Path("bios"), Path("vga"), "a Bochs of the test's"))
ARM = Arm(Kernel(Debian("6.1"), "6.1", "6.1.0", Path("vmlinuz"), {}, label="mine/../mine"))


@pytest.fixture(autouse=True)
def talking_labs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labs that say one word, and end."""

    @contextlib.asynccontextmanager
    async def boot(
        image: object, here: object, log: Tee | None, *_: object
    ) -> AsyncIterator[SimpleNamespace]:
        if log:
            log.write(b"Linux version 6.1.0")
        modules = {"kvm_intel": {"enable_apicv": "Y"}}
        yield SimpleNamespace(
            facts=replace(FACTS, kernel="6.1.0", kvm_modules=modules), trouble=None
        )

    async def modified(kernel: Kernel, variant: Variant, **_: object) -> Kernel:
        return kernel

    monkeypatch.setattr(module, "boot", boot)
    monkeypatch.setattr(module, "modified", modified)


async def boot_in(out: Path, *, shared_out: bool = False) -> None:
    labs = Labs(PARTS, [ARM], FACTS, out, parallel=1, shared_out=shared_out)
    async with labs, labs.host(ARM):
        pass


async def test_a_log_is_private_and_stays_in_the_folder(tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir(mode=0o700)
    await boot_in(out)
    log = out / "serial" / "1-mine_.._mine.log"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [log]
    assert log.read_bytes() == b"Linux version 6.1.0"
    assert log.stat().st_mode & 0o777 == 0o600


async def test_a_planted_link_is_not_followed(other_user: OtherUser, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    name = "1-mine_.._mine.log"
    other_user.sh(f"mkdir -p out/serial other; ln -s {precious} out/serial/{name}")
    other_user.sh(f"ln -s {tmp_path} other/serial")
    for place in ("out", "other"):
        with pytest.raises(OutFolderError, match="it belongs to user nobody"):
            await boot_in(other_user.home / place)
    await boot_in(other_user.home / "out", shared_out=True)
    assert (other_user.home / "out" / "serial" / f"2-{name[2:]}").is_file()
    with pytest.raises(JournalError, match="Not a directory"):
        await boot_in(other_user.home / "other", shared_out=True)
    assert precious.read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
