"""Reports of runs and direct tests as tests want them, and the text of explanations."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.findings.series import Series
from orchestrator.journal import direct
from orchestrator.results.explanation.text import Commands, Excerpt, Section
from orchestrator.results.report import Case, Report
from orchestrator.testing import FACTS
from orchestrator.verdict.direct import judge_direct
from orchestrator.verdict.verdict import Ended, Verdict


def turned(report: Report, verdict: Verdict, **fields: object) -> Report:
    """Return a report with another verdict, of which each case has these fields."""
    cases = (replace(each, ended=Ended(verdict), **fields) for each in report.cases)
    return replace(report, verdict=verdict, cases=tuple(cases))


def probe(*lost: tuple[int, int]) -> Report:
    """Return the report of a direct test: for each current count, the timers lost of 100."""
    intel = replace(FACTS, kvm_modules={"kvm": {}, "kvm_intel": {"enable_apicv": "Y"}})
    series = [Series(tmcct, 100, count, 0, 1000, 1.0) for tmcct, count in lost]
    host = direct.TestedHost(intel, None, series, Series(0, 100, 100, 0, 0, 1.0))
    result = judge_direct(direct.DirectState(hosts={"here": host}), Path("journal.jsonl"))
    (found,) = result.hosts
    trials = sum(each.trials for each in series)
    case = Case(
        "here", Ended(found.verdict), False, found.why, found.why, found.exposure, trials,
        sum(each.lost for each in series), {}, {}, None, result=found,
    )  # fmt: skip
    return Report(Path(), "probe", found.verdict, found.why, (case,), result)


def prose(sections: Sequence[Section]) -> str:
    """Return all text of an explanation but its commands."""
    blocks = [block for each in sections for block in each.blocks]
    return "\n".join(
        [each.heading for each in sections]
        + ["\n".join(b.lines) if isinstance(b, Excerpt) else b for b in blocks
           if not isinstance(b, Commands)]
    )  # fmt: skip


def commands(sections: Sequence[Section]) -> list[str]:
    """Return the commands of an explanation."""
    return [
        line
        for each in sections
        for block in each.blocks
        if isinstance(block, Commands)
        for line in block.lines
    ]
