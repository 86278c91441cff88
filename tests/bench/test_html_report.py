"""The cost of the HTML report of a million trials."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.line import encode
from orchestrator.journal.records import CellRecord, Record, VerdictRecord
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.plan.load import build_plan
from tests.support.browser import chromium
from tests.support.records import heads, save_record

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

CELLS = 24

#: Reads the run and writes the page, and prints how long each took and the memory at its peak.
PROGRAM = """
import resource, sys, time
from pathlib import Path
from orchestrator.results.outputs.html.trials import read_trials
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import output
from orchestrator.results.report import read_report

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

began, cpu = time.perf_counter(), time.process_time()
report = read_report(Path(sys.argv[1]))
read, before = time.perf_counter(), peak()
read_trials(report.result.journal, {case.name: case.trials for case in report.cases})
streamed, after = time.perf_counter(), peak()
page = output("html").render([report], OutputOptions(target=Path(sys.argv[2])))
done = time.perf_counter()
Path(sys.argv[2]).write_bytes(page)
trials = sum(case.trials for case in report.cases)
print(f"{trials:,} trials: read in {read - began:.1f} s ({before:.0f} MiB at the peak); "
      f"streamed again at {trials / (streamed - read):,.0f} trials/s ({after - before:+.0f} MiB); "
      f"{time.process_time() - cpu:.1f} s of CPU time in all; "
      f"page built in {done - streamed:.1f} s, {len(page):,} bytes ({peak():.0f} MiB at the peak)")
"""

#: Waits for the first paint of anything, and returns its time since the page was asked for, in ms.
FIRST_PAINT = """new Promise(tell => new PerformanceObserver(list => {
  const paint = list.getEntriesByName('first-contentful-paint')[0];
  if (paint) tell(paint.startTime);
}).observe({type: 'paint', buffered: true}))"""


def write_journal(path: Path, trials: int) -> None:
    """Write the journal of a long run of many cells, in some of which loads are lost."""
    plan = build_plan(
        {
            "axes": {
                "accel": "kvm", "mode": ["one-shot", "periodic", "tsc-deadline"],
                "apic": ["xapic", "x2apic"], "method": ["hmp", "exec"], "vcpus": [1, 2],
                "period_ms": 10,
            },
            "limits": {"trials": trials // CELLS, "rule_out": 0.01},
        },
        "bench",
    )  # fmt: skip
    records: list[Record] = heads(plan)
    cells = plan.cells(records[2].auto)  # type: ignore[union-attr]
    assert len(cells) == CELLS
    number = 0
    with path.open("wb") as file:

        def write(record: Record) -> None:
            nonlocal number
            number += 1
            file.write(encode(record, number))

        for record in records:
            write(record)
        for which, cell in enumerate(cells):
            for load in range(trials // CELLS):
                if load % 25 == 0:
                    phase = 0.4 + (load * 7 % 200) / 1000
                    tag = f"save{load}"
                    write(save_record(cell, tag, phase))
                ms = 0.5 + (load * 13 % 997) / 400 + which / 10
                trial = TrialRecord(cell.id, tag, Outcome.IMMEDIATE, (ms / 10, ms / 10, ms))
                if which % 3 == 0 and load % 1000 == 999:
                    trial = replace(
                        trial, outcome=Outcome.LOST, first_tick=None, ticks_after_load=0,
                        number=load + 1, evidence=f"evidence/{load:04d}-host-lost",
                    )  # fmt: skip
                write(trial)
            control = save_record(cell, "control", role=Role.CONTROL)
            write(control)
            write(CellRecord(cell.id, "", "", {}, {}, {}, {}, ()))
        write(VerdictRecord("", {}))


@pytest.mark.parametrize("trials", [10_000, 1_000_000])
def test_a_page_of_many_trials(trials: int, tmp_path: Path) -> None:
    """Figures to reach: built in 30 s after the journal is read; 2 MB; painted in 1 s."""
    run, page = tmp_path / "run", tmp_path / "page.html"
    run.mkdir()
    write_journal(run / "journal.jsonl", trials)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, run, page], capture_output=True, text=True, check=True
    )
    print(f"\n{done.stdout.strip()}")
    with chromium() as browser:
        paints = []
        for _ in range(5):
            view = browser.new_page(viewport={"width": 1100, "height": 800})
            view.goto(page.as_uri())
            paints.append(view.evaluate(FIRST_PAINT))
            view.close()
    paints.sort()
    print(
        f"first paint in Chromium: median {paints[2]:.0f} ms, {paints[0]:.0f} to {paints[-1]:.0f}"
    )
