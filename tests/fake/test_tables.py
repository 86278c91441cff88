"""The table of a run in 80 columns, with long ids and hostile text."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from orchestrator.cli.phases import print_phases
from orchestrator.cli.run_table import print_run
from orchestrator.cli.screen import Screen
from orchestrator.testing import lost
from orchestrator.verdict.run import RunResult
from tests.support.fake_campaigns import campaign, only_ordinary

HOSTILE = "\x1b[2J\x1b]0;owned\x07 [red]\r"


def shown(run: RunResult, width: int) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    print_run(Screen(console), run)
    print_phases(Screen(console), run)
    return out.getvalue()


async def hostile_run(out: Path) -> RunResult:
    """Return a run with losses whose texts and ids have something from elsewhere in them."""
    run, _ = await campaign(
        out, only_ordinary(lost), cpu="qemu64,-tsc-deadline,-x2apic", memory_mib=16
    )
    (cell,) = run.cells
    cell = replace(
        cell, cell=replace(cell.cell, qemu=f"/opt/{HOSTILE}/qemu"), why=f"QEMU: {HOSTILE}"
    )
    return replace(run, cells=[cell, cell], changed=(HOSTILE,), statement=HOSTILE)


@pytest.mark.parametrize("width", [60, 80, 200])
async def test_a_run_s_tables_fit_the_screen(tmp_path: Path, width: int) -> None:
    text = shown(await hostile_run(tmp_path), width)
    for line in text.splitlines():
        if not line.startswith(("journal: ", "evidence: ")):  # a path to copy is not wrapped
            assert cell_len(line) <= width
    for word in ("affected", "100.000%", "-tsc-deadline,", "memory_mib=16/", "controls"):
        assert word in text, "a word was broken"


async def test_a_run_s_tables_escape_control_characters(tmp_path: Path) -> None:
    text = shown(await hostile_run(tmp_path), 80)
    assert [c for c in text if c != "\n" and not c.isprintable()] == []
    assert text.count("\\x1b[2J") >= 6
    assert "[red]" in text
