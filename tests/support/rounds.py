"""Rounds of default runs on the real host, beside programs that keep its CPUs busy."""

import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.host import pressure
from orchestrator.process.tool import bound_to_us
from tests.support.command import losttick_command
from tests.support.journal import journal_dicts

#: A program that never waits. It ends when its parent has.
_BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""

#: Longest time for the runs of a round.
ROUND_S = 1200.0


@dataclass(frozen=True)
class Ran:
    """A default run, and what came of it."""

    round: int
    verdict: str
    why: str
    exit_code: int
    outcomes: dict[str, int]
    shams: dict[str, int]
    off_phase: int
    """Shots of the aim that missed the wanted phases."""
    paused_s: float
    seconds: float
    pressure: float | None
    """PSI of the CPUs in the middle of the run, in percent."""
    out: Path


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep CPUs busy with programs that never wait."""
    command = [*bound_to_us(), sys.executable, "-c", _BUSY]
    loops = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def run_round(place: Path, number: int, runs: int, options: Sequence[str] = ()) -> list[Ran]:
    """Start default runs at once; return them when all have ended."""
    outs = [place / f"round{number}-run{run}" for run in range(runs)]
    began = time.monotonic()
    started = []
    for out in outs:
        out.mkdir(parents=True)
        command = losttick_command("run", "--json", "--out", str(out / "out"), *options)
        with (out / "stdout").open("w") as stdout, (out / "stderr").open("w") as stderr:
            started.append(subprocess.Popen(command, stdout=stdout, stderr=stderr))
    try:
        time.sleep(5)
        seen = pressure.percent(Path(pressure.FILE).read_text())
        ended = {}
        while len(ended) < runs:
            for out, process in zip(outs, started, strict=True):
                if out not in ended and process.poll() is not None:
                    ended[out] = time.monotonic() - began
            assert time.monotonic() - began < ROUND_S, f"the runs of round {number} do not end"
            time.sleep(0.1)
    finally:
        for process in started:
            process.kill()
            process.wait()
    return [
        _read(number, out, process.returncode, ended[out], seen)
        for out, process in zip(outs, started, strict=True)
    ]  # fmt: skip


def _read(number: int, out: Path, code: int, seconds: float, seen: float | None) -> Ran:
    text = (out / "stdout").read_text()
    assert text, (out / "stderr").read_text()
    result: dict[str, Any] = json.loads(text)
    (cell,) = result["cells"]
    records = journal_dicts(out / "out" / "journal.jsonl")
    shams = Counter(r["outcome"] for r in records if r["record"] == "trial" and r["role"] == "sham")
    return Ran(
        number, cell["verdict"], cell["why"], code, dict(cell["outcomes"]), dict(shams),
        sum("off phase" in r.get("ineligible", ()) for r in records if r["record"] == "save"),
        sum(r["ns"] for r in records if r["record"] == "pause") / 1e9, seconds, seen, out,
    )  # fmt: skip


def table(rans: Sequence[Ran]) -> str:
    """Return the runs as a table."""
    lines = [
        f"{'round':>5} {'verdict':12} {'loads':>5} {'time':>6} {'paused':>6} {'PSI':>4} "
        f"{'off':>4}  outcomes; shams"
    ]
    for ran in rans:
        outcomes = ", ".join(f"{count} {name}" for name, count in ran.outcomes.items())
        shams = ", ".join(f"{count} {name}" for name, count in ran.shams.items())
        psi = "-" if ran.pressure is None else f"{ran.pressure:.0f}%"
        lines.append(
            f"{ran.round:5} {ran.verdict:12} {sum(ran.outcomes.values()):5} {ran.seconds:5.0f}s "
            f"{ran.paused_s:5.0f}s {psi:>4} {ran.off_phase:4}  {outcomes}; {shams or 'none'}"
        )
        if ran.verdict != "clean":
            lines.append(f"      {ran.out}: {ran.why}")
    counts = Counter(ran.verdict for ran in rans)
    lines.append(f"{len(rans)} runs: " + ", ".join(f"{n} {each}" for each, n in counts.items()))
    return "\n".join(lines)
