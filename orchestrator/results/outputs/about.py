"""What is said of a run and of each of its cases, by outputs that are read line by line.

The texts may hold anything that a guest, QEMU or a journal said: each output escapes it.
"""

from collections.abc import Iterator

from orchestrator.host.facts import HostFacts
from orchestrator.results.columns import rate_words
from orchestrator.results.report import Case, Report
from orchestrator.verdict.direct import HostResult

#: Evidence folders and known bugs that are named; further ones are counted.
_NAMED = 5


def about_run(report: Report) -> Iterator[str]:
    """Yield what is to be known of a whole run, each as a text that begins with what it is."""
    yield f"verdict: {report.verdict}: {report.meaning}"
    if report.interrupted:
        yield f"not ended: {report.interrupted}"
    if report.went_down:
        yield f"the host went down {report.went_down}"
    if report.facts:
        yield f"host: {host_words(report.facts)}"
    if report.losttick:
        yield f"losttick: {report.losttick}"
    if report.seed is not None:
        yield f"seed: {report.seed}"
    if report.began_at:
        yield f"began: {report.began_at}" + (f", ended: {report.ended_at}" * bool(report.ended_at))


def about_case(case: Case, report: Report) -> Iterator[str]:
    """Yield what is to be known of a case, each as a text that begins with what it is."""
    yield f"verdict: {case.verdict}: {case.meaning}"
    if case.expected:
        yield f"known answer of this arm: {case.expected}"
    if not case.asked:
        yield "the verdict of this edited kernel is an observation: the run's does not rest on it"
    if case.trials:
        rate = rate_words(case.rate) if case.rate else ""
        what = "timers" if isinstance(case.result, HostResult) else "loads"
        yield f"{what}: {case.trials}, lost: {case.lost}{rate}"
    if isinstance(case.result, HostResult):
        for each in case.result.series:
            series = each.series
            yield (
                f"restored TMCCT {series.tmcct_ns} ns: {series.lost} of {series.trials} timers lost"
                + rate_words(each.loss_rate)
            )
    for what, counts in (("outcomes", case.outcomes), ("diagnoses", case.causes)):
        if counts:
            yield f"{what}: " + ", ".join(f"{count} {name}" for name, count in counts.items())
    for what, found in (("known bug", [case.bug]), ("looks like", case.resembled[:_NAMED])):
        for likeness in filter(None, found):
            bug = likeness.bug
            yield f"{what}: {bug.name}, {likeness.trials} loads; fixed by {bug.fixed_by}"
    yield f"exposure: {case.exposure.state}: {case.exposure.why}"
    if case.lab:
        yield f"lab: {case.lab.name} in {case.lab.emulator}"
    if case.facts and case.facts != report.facts:
        yield f"host: {host_words(case.facts)}"
    for folder in case.evidence[:_NAMED]:
        yield f"evidence: {folder}"
    if (more := len(case.evidence) - _NAMED) > 0:
        yield f"evidence: {more} more folders"


def host_words(facts: HostFacts) -> str:
    """Return a host in a few words: kernel, CPU and QEMU."""
    qemu = f", QEMU {facts.qemu.version}" if facts.qemu else ""
    return f"{facts.kernel} ({facts.kernel_build}), {facts.cpu}{qemu}"
