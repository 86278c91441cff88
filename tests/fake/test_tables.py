"""The table of a run in 80 columns, with long ids and hostile text."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from orchestrator.cli.lab.arms_table import print_arms
from orchestrator.cli.live import PartTimes
from orchestrator.cli.phases import print_phases
from orchestrator.cli.run_table import print_run
from orchestrator.cli.screen import Screen
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.wait import Wait
from orchestrator.snapshot.method import Resume
from orchestrator.testing import FACTS, immediate, lost
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict
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
    for word in ("affected", "100.000%", "-tsc-deadline,", "memory_mib=16/", "controls", "2 of"):
        assert word in text, "a word was broken"


async def test_a_run_s_tables_escape_control_characters(tmp_path: Path) -> None:
    text = shown(await hostile_run(tmp_path), 80)
    assert [c for c in text if c != "\n" and not c.isprintable()] == []
    assert text.count("\\x1b[2J") >= 6
    assert "[red]" in text


async def test_the_arms_of_a_lab_fit_80_columns(tmp_path: Path) -> None:
    cells = []
    for number, (variant, apicv) in enumerate(
        [("untouched", True), ("revert-fix", True), ("revert-fix", False)]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        run, _ = await campaign(folder, only_ordinary(lost if number == 1 else immediate))
        (cell,) = run.cells
        cell.counts.lab = LabIdentity(
            "6.1.0-48-amd64", "6.1.176-1~bpo13+1", variant, apicv, "Bochs 3.0", boot_s=12.4,
            expected=Verdict.CLEAN if number else None,
        )  # fmt: skip
        cells.append(cell)
    out = io.StringIO()
    print_arms(Screen(Console(file=out, width=80)), replace(run, cells=cells))
    lines = out.getvalue().splitlines()
    assert max(cell_len(line) for line in lines if not line.startswith(("journal", "evi"))) <= 80
    assert (lines[0].split()[0], lines[0].split()[-1]) == ("arm", "verdict"), "one row an arm"
    assert "Booted in 12 s." in lines
    text = " ".join(lines)
    assert "6.1.176-1~bpo13+1/untouched (enable_apicv=Y) is clean" in text
    assert "NOT PROVEN: 6.1.176-1~bpo13+1/revert-fix is affected, where it must be clean" in text
    assert text.count("lost the timer's interrupt") == 1
    assert "Took" not in text
    proven = replace(cells[1].counts.lab, expected=Verdict.AFFECTED)
    cells[1].counts.lab = proven
    out = io.StringIO()
    times = PartTimes(95, {cell.cell.id: 250 for cell in cells})
    print_arms(Screen(Console(file=out, width=80)), replace(run, cells=cells), times)
    text = " ".join(out.getvalue().split())
    assert "Took 95 s to begin; 6.1.176-1~bpo13+1/untouched 4 minutes, 6.1." in text
    assert "NOT PROVEN" not in text
    assert "6.1.176-1~bpo13+1/revert-fix (enable_apicv=Y) is affected: " in text


@pytest.mark.parametrize("booted", [True, False])
async def test_a_kernel_with_a_name_of_its_own_says_what_booted(
    tmp_path: Path, *, booted: bool
) -> None:
    run, _ = await campaign(tmp_path, only_ordinary(immediate))
    (cell,) = run.cells
    cell.counts.lab = LabIdentity(
        "tree:~/linux", "6.5.0", "untouched", True, "Bochs 3.0", label="before"
    )
    if not booted:
        cell.counts.facts = None
    out = io.StringIO()
    print_arms(Screen(Console(file=out, width=200)), replace(run, cells=[cell, cell]))
    seen = f"booted as {FACTS.kernel}" if booted else "did not boot"
    lines = out.getvalue().splitlines()
    assert lines.count(f"before: tree:~/linux, {seen}.") == 1
    assert any(line.startswith("before/untouched ") for line in lines)


async def test_the_rows_and_sentences_of_one_arm_name_what_differs(tmp_path: Path) -> None:
    run, _ = await campaign(tmp_path, only_ordinary(immediate))
    (cell,) = run.cells
    cell.counts.lab = LabIdentity("6.1.0", "6.1.176-1", "untouched", True, "Bochs 3.0")
    settings: dict[str, dict[str, Any]] = {
        " state=pending": {"state": SavedState.PENDING},
        " wait=halt resume=auto": {"wait": Wait.HALT, "resume": Resume.AUTO},
    }
    others = [replace(cell, cell=replace(cell.cell, **each)) for each in settings.values()]
    out = io.StringIO()
    print_arms(Screen(Console(file=out, width=200)), replace(run, cells=[cell, *others]))
    lines = out.getvalue().splitlines()
    for name in ("6.1.176-1/untouched", *(f"6.1.176-1/untouched{each}" for each in settings)):
        assert sum(line.startswith(f"{name}  ") for line in lines) == 1
        assert sum(line.startswith(f"{name} (enable_apicv=") for line in lines) == 1


async def test_each_cell_that_is_not_clean_has_its_sentence(tmp_path: Path) -> None:
    """Cells with the same reason share one."""
    (tmp_path / "good").mkdir()
    good, _ = await campaign(tmp_path / "good", only_ordinary(immediate))
    (tmp_path / "bad").mkdir()
    bad, _ = await campaign(tmp_path / "bad", only_ordinary(lost))
    (fine,), (affected,) = good.cells, bad.cells
    skipped = [
        replace(fine, cell=replace(fine.cell, memory_mib=mib), verdict=Verdict.SKIPPED, why=why)
        for mib, why in ((16, "no KVM here."), (32, "no KVM here."), (64, "no QEMU here"))
    ]
    run = replace(bad, cells=[fine, affected, *skipped])
    text = " ".join(shown(run, 2000).split())
    ids = [cell.cell.id for cell in skipped]
    assert f"{ids[0]}, {ids[1]}: skipped: no KVM here." in text
    assert f"{ids[2]}: skipped: no QEMU here." in text
    assert text.count("lost the timer's interrupt") == 1
    assert f"{fine.cell.id}: " not in text
    assert "lost: ticks stopped, and did not come back by themselves." in text
    assert "lost one-shot interrupt: the one-shot timer is over" in text


async def test_a_table_with_every_outcome_fits_80_columns(tmp_path: Path) -> None:
    run, _ = await campaign(tmp_path, only_ordinary(immediate))
    (cell,) = run.cells
    cell.counts.outcomes.update(dict.fromkeys(Outcome, 7))
    text = shown(replace(run, cells=[cell]), 80)
    lines = text.splitlines()
    assert max(cell_len(line) for line in lines if not line.startswith(("journal", "evi"))) <= 80
    for word in ("extra", "early", "late", "missed", "rate", "clock", "recovered", "crashed"):
        assert word in text.partition("\n\n")[0], "the table counts it"
        assert f"\n{word}: " in text, "and it is explained"
