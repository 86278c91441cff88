"""Tables fit their width, break no word, and let no foreign text steer the terminal."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from orchestrator.cli.screen import Screen, with_width
from orchestrator.cli.table import Table, wrap
from orchestrator.cli.text import Styled
from orchestrator.results.printable import printable

ID = "kvm/tsc-deadline/x2apic/mapped-ram/1000ms/25loads/cpu=qemu64,-tsc-deadline/irqchip=split"

HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\bverdict: clean\u202e\u2028\x9b31m[bold red]"


def shown(table: Table, width: int) -> str:
    """Return what a terminal of this width is sent, without its colours."""
    out = io.StringIO()
    Screen(Console(file=out, width=width)).table(table)
    return out.getvalue()


def verdicts(cell: str, first_tick: str = "immediate, 12.3 ms") -> Table:
    table = Table(
        ("cell", "verdict", "loads", "lost", "loss rate", "first tick", "controls"),
        right=frozenset({"loads", "lost"}),
    )
    table.add(cell, Styled("inconclusive", "yellow"), "299", "12",
              "4.013% (2.10% to 6.90% of saves)", first_tick, "2 of 2 seen")  # fmt: skip
    return table


@pytest.mark.parametrize("width", [200, 80, 60, 30])
@pytest.mark.parametrize("cell", ["kvm/one-shot/xapic/hmp/20ms/25loads", ID, "emulated-host " + ID])
def test_a_table_fits_and_breaks_no_word(width: int, cell: str) -> None:
    lines = shown(verdicts(cell), width).splitlines()
    assert max(map(cell_len, lines)) <= width
    words = {word for line in lines for word in line.split()}
    assert {"inconclusive", "299", "immediate,", "saves)"} <= words
    if width == 80:
        pieces = {word for word in words if word.endswith("/")}
        assert pieces, "an id breaks after a slash"
        assert all(part in cell for part in pieces)


def test_a_table_at_its_natural_width() -> None:
    table = Table(("cell", "lost"), right=frozenset({"lost"}), lines_in=frozenset({"cell"}))
    table.add("kvm/one-shot/xapic", Styled("3", "red"))
    table.add("tcg/a\nb", "12")
    assert shown(table, 80) == (
        "cell                lost\nkvm/one-shot/xapic     3\ntcg/a                 12\nb\n"
    )


def test_a_row_becomes_a_block_where_columns_do_not_fit() -> None:
    table = Table(("cell", "verdict"))
    table.add("kvm/one-shot/xapic", "inconclusive")
    assert shown(table, 20) == (
        "cell     kvm/\n         one-shot/\n         xapic\nverdict  inconclusiv\n         e\n"
    )


def test_fractions_and_units_stay_whole() -> None:
    assert wrap("100/100 at 20 trials/s", 9) == ["100/100", "at 20", "trials/s"]
    assert wrap("1:7.2+dfsg-7+deb12u18+b3.2-1", 12) == ["1:7.2+dfsg-", "7+deb12u18+", "b3.2-1"]
    assert wrap("revert-the-fix", 8) == ["revert-t", "he-fix"], "a short word is not broken at -"
    assert wrap("6.1.176-1/revert-fix", 12) == ["6.1.176-1/", "revert-fix"]
    assert wrap("immediate, 1.8 ms", 14) == ["immediate,", "1.8 ms"]
    assert wrap("kvm/one-shot/xapic", 10) == ["kvm/", "one-shot/", "xapic"]


@given(st.text(), st.integers(min_value=2, max_value=100))
def test_wrapping_loses_nothing(text: str, width: int) -> None:
    text = printable(text)
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_prose_wraps_between_words() -> None:
    out = io.StringIO()
    Screen(Console(file=out, width=12)).prose(Styled("clean", "green"), ": no loss in 299 loads")
    assert out.getvalue() == "clean: no\nloss in 299\nloads\n"
    out = io.StringIO()
    console = Console(file=out, width=9, force_terminal=True, color_system="standard")
    Screen(console).prose(Styled("affected", "red"), ": at 100 ns")
    assert out.getvalue() == "\x1b[31maffected\x1b[0m:\nat 100 ns\n"


def test_hostile_text_cannot_steer_the_terminal() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=80, force_terminal=True, color_system=None))
    screen.table(verdicts(HOSTILE + ID, first_tick=HOSTILE))
    screen.prose("guest said: ", Styled(HOSTILE, "bold"))
    screen.line(HOSTILE)
    sent = out.getvalue()
    assert [c for c in sent if c != "\n" and not c.isprintable()] == []
    assert sent.count("\\x1b[2J") >= 4
    assert "[bold red]" in sent, "rich's markup in foreign text is only text"


def test_printable_keeps_what_can_be_printed() -> None:
    assert printable("µs → 2,705 more\nline") == "µs → 2,705 more\nline"
    assert printable("a\tb\x7f\udc80") == "a\\tb\\x7f\\udc80"


def test_width_off_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert with_width(Console(file=io.StringIO())).width == 80
    monkeypatch.setenv("COLUMNS", "132")
    assert with_width(Console(file=io.StringIO())).width == 132
    monkeypatch.setenv("COLUMNS", "wide")
    assert with_width(Console(file=io.StringIO())).width == 80
