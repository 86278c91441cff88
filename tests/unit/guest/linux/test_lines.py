import pytest

from orchestrator.guest import lines
from orchestrator.guest.lines import KernelTimer, Line, Refused, Tick
from orchestrator.guest.linux.lines import FAULTS, REFUSALS, parse
from orchestrator.guest.tick.lines import LINE, render
from tests.support.places import IMAGES

TESTIMONY = (
    2, 0xEC, 244278, 0, 0, 0, 0x10, 0, 0, 0, 4555625, 6, 7, 582, 0x33, 0, 0xFD00ED, 647,
    1, 401041692, 0, 3788000000,
)  # fmt: skip


def said(line: bytes) -> tuple[int, Line] | None:
    match = LINE.search(line)
    return parse(match) if match else None


def test_a_tick_is_the_firmwares() -> None:
    heard = said(render("T", 7, 1000, 1, 2, 300, 8, vcpu=1))
    assert heard == (1, Tick(7, 1000, 1 << 32 | 2, 300, 8))


def test_a_testimony_has_the_kernels_account() -> None:
    heard = said(render("N", *TESTIMONY))
    assert heard is not None
    assert isinstance(heard[1], lines.Testimony)
    assert heard[1].kernel == KernelTimer(647, (1 << 32) + 401041692, 3788000000)
    assert heard[1].kernel.overdue_ns == (1 << 32) + 401041692 - 3788000000
    assert (heard[1].irr_elsewhere, heard[1].isr_elsewhere) == (0xFD, 0xED)
    assert (heard[1].ticks, heard[1].arms, heard[1].tmict) == (6, 7, 244278)


@pytest.mark.parametrize("fields", [TESTIMONY[:17], TESTIMONY[:-1], (*TESTIMONY, 0), ()])
def test_a_testimony_of_another_shape_is_no_line(fields: tuple[int, ...]) -> None:
    assert said(render("N", *fields)) is None


def test_an_altered_line_is_none() -> None:
    line = render("N", *TESTIMONY).replace(b" 33 ", b" 23 ")
    assert said(line) is None


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_has_words(code: int) -> None:
    assert said(render("B", code)) == (0, Refused(REFUSALS[code], lacks=code not in FAULTS))


def test_every_refusal_of_the_program_has_words() -> None:
    source = (IMAGES / "linux" / "init.c").read_text()
    names = source.partition("NO_CONFIG = 1,")[2].partition("};")[0].replace("\n", " ").split(",")
    code, codes = 1, {1}
    for name in (each.strip() for each in names if each.strip()):
        code = int(name.partition("=")[2]) if "=" in name else code + 1
        codes.add(code)
    assert codes == set(REFUSALS)
