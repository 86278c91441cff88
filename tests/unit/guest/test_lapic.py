from pathlib import Path

import pytest

from orchestrator.guest.lapic import parse_lapic, parse_registers
from orchestrator.guest.tick.config import TICK_VECTOR
from tests.support.places import GOLDEN


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("info-lapic-*")), ids=lambda path: path.stem)
def test_info_lapic_of_every_qemu(path: Path) -> None:
    lapic = parse_lapic(path.read_text())
    assert lapic.vector == TICK_VECTOR
    assert not lapic.masked
    assert lapic.tmict == 20_000_000
    assert TICK_VECTOR not in lapic.isr


@pytest.mark.parametrize(
    "path", sorted(GOLDEN.glob("info-registers-*")), ids=lambda path: path.stem
)
def test_info_registers_of_every_qemu(path: Path) -> None:
    registers = parse_registers(path.read_text())
    assert 0 < registers.ip < 0x10000
    assert not registers.halted


def test_pending_vectors_are_read() -> None:
    text = (GOLDEN / "info-lapic-7.2-kvm.txt").read_text()
    lapic = parse_lapic(text.replace("IRR\t (none)", "IRR\t 64 255(level)"))
    assert lapic.irr == {64, 255}
    with pytest.raises(ValueError, match="no LVTT"):
        parse_lapic("nothing of use")
    with pytest.raises(ValueError, match="lacks IP"):
        parse_registers("")
