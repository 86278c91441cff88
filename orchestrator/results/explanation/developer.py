"""The explanation for a developer of KVM: the commits, the evidence, and how to reproduce it."""

import re
from collections.abc import Sequence

from orchestrator.bugs.catalogue import APICV_BUG, NARROW_RACE
from orchestrator.bugs.known_bug import KnownBug
from orchestrator.findings.outcome import Outcome
from orchestrator.findings.series import DirectCounts, Series
from orchestrator.host.facts import HostFacts
from orchestrator.results.columns import rate_words
from orchestrator.results.evidence import EvidenceFiles, read_evidence
from orchestrator.results.explanation.answer import is_lab, may_be_the_bug
from orchestrator.results.explanation.counted import asked, telling
from orchestrator.results.explanation.text import Block, Commands, Excerpt, Section
from orchestrator.results.hosts import TELLING
from orchestrator.results.report import Case, Report
from orchestrator.results.rerun import rerun
from orchestrator.results.sentence import sentence
from orchestrator.trial.trace import last_load
from orchestrator.verdict.direct import DirectResult
from orchestrator.verdict.pattern import TELLING_NS, Pattern, read_pattern, shown
from orchestrator.verdict.run import CellResult, RunResult
from orchestrator.verdict.verdict import Verdict

#: Lines of a trace that are shown.
MOST_LINES = 40

#: Lines that a kernel puts between the events of a trace.
_NOISE = re.compile(r"^\s*(#|$)")


def for_developer(report: Report) -> Sequence[Section]:
    """Return what was found, why, with which evidence, and how to reproduce it."""
    found = telling(report) or asked(report)
    # In a lab, the arms with a known answer show what the others would have shown.
    others = [each for each in report.cases if is_lab(report) and each not in found]
    cases = [*found, *others]
    sections = [
        Section("", (sentence(report.meaning), *_notes(report))),
        Section("Host", _hosts(report)),
        Section("Counted", tuple(_counted(each, report) for each in cases)),
        *_bugs(report, cases),
        *_first_tick(report, cases),
        *_hang(report, cases),
        Section("Reproduce", _reproduce(report)),
    ]
    return [each for each in sections if each.blocks]


def _notes(report: Report) -> Sequence[str]:
    interrupted = f"The run has not ended: {report.interrupted}" if report.interrupted else ""
    down = f"The host went down {report.went_down}" if report.went_down else ""
    return [sentence(each) for each in (interrupted, down) if each]


def _hosts(report: Report) -> tuple[Block, ...]:
    """Return each host on which something was counted, once, with its arms in a lab."""
    found: dict[str, list[str]] = {}
    for case in report.cases:
        if case.facts:
            on = f"on {case.lab.emulator}: " if case.lab else ""
            arms = found.setdefault(on + _host(case.facts), [])
            if case.lab and case.lab.name not in arms:
                arms.append(case.lab.name)
    return tuple(f"{', '.join(arms)} {host}".strip() for host, arms in found.items())


def _host(facts: HostFacts) -> str:
    parameters = [
        f"{module}.{name}={value}"
        for module, values in facts.kvm_modules.items()
        for name, value in values.items()
        if name in TELLING
    ]
    qemu = f"; QEMU {facts.qemu.version} ({facts.qemu.path})" if facts.qemu else ""
    virtual = ", itself a virtual machine" if facts.hypervisor else ""
    return (
        f"Linux {facts.kernel} ({facts.kernel_build}); {facts.cpu} "
        f"({facts.family_model_stepping}, microcode {facts.microcode or 'unknown'}){virtual}; "
        f"{', '.join(facts.kvm_modules) or 'no KVM module'}"
        + (f" with {', '.join(parameters)}" if parameters else "")
        + qemu
    )


def _counted(case: Case, report: Report) -> str:
    expected = ", as it must be" if case.expected is case.verdict else ""
    series = _series_of(case, report) if isinstance(report.result, DirectResult) else ()
    lost = "; ".join(f"{each.lost} of {each.trials} at TMCCT {each.tmcct_ns} ns" for each in series)
    outcomes = ", ".join(f"{count} {name}" for name, count in case.outcomes.items() if count)
    causes = ", ".join(f"{count} {name}" for name, count in case.causes.items() if count)
    interval = rate_words(case.rate) if case.rate and case.trials else ""
    return (
        f"{case.name}: {case.verdict}{expected}; lost {lost or f'{case.lost} of {case.trials}'}"
        + (f" ({outcomes})" if outcomes else "")
        + (f"; diagnosed: {causes}" if causes else "")
        + interval
        + f". This host is {case.exposure.state}: {case.exposure.why}."
    )


def _bugs(report: Report, cases: Sequence[Case]) -> Sequence[Section]:
    """Return the known bugs that the result has to do with."""
    told = [said for case in cases if (said := _which(case, report))]
    sections = []
    if told or may_be_the_bug(report):
        sections = [_commits(), _two_bugs(told)]
    others = dict.fromkeys(each.bug.name for case in cases for each in case.known_bugs)
    bugs = {each.bug.name: each.bug for case in cases for each in case.known_bugs}
    return [*sections, *(_likeness(bugs[name]) for name in others if name != APICV_BUG.name)]


def _commits() -> Section:
    """Return the commits of the APICv bug."""
    lines = [f'{each.hash} ("{each.subject}") {each.role}.' for each in APICV_BUG.commits]
    return Section("Commits", tuple(lines))


def _two_bugs(told: Sequence[str]) -> Section:
    """Return which of the two bugs of the same lines of code this is, and which kernels have it."""
    apicv = (
        f"The {APICV_BUG.name} ({APICV_BUG.affected_kernels}) loses nearly every one-shot timer "
        "that is restored with TMCCT 0, which is what QEMU always restores: the timer fires inside "
        "KVM_SET_LAPIC (8e6ed96cdd50), and the same call clears the PIR (967235d32032)."
    )
    race = (
        f"The {NARROW_RACE.name} ({NARROW_RACE.affected_kernels}) is older: without 8e6ed96cdd50 a "
        "timer with TMCCT 0 starts a full period and survives. Only a deadline that passes between "
        "two reads of the TSC, in set_target_expiration() and in start_sw_tscdeadline() or "
        "vmx_set_hv_timer(), is lost. This needs a restored TMCCT of some nanoseconds."
    )
    versions = "Versions are hints, because distributions backport."
    return Section("Which bug", (*told, apicv, race, f"{APICV_BUG.advice} {versions}"))


def _which(case: Case, report: Report) -> str:
    """Return which of the two bugs a case shows, and by what; empty if neither."""
    series = _series_of(case, report)
    pattern, lost = read_pattern(series), shown(series)
    affected = case.verdict is Verdict.AFFECTED
    direct = isinstance(report.result, DirectResult)
    if pattern is Pattern.NARROW or (pattern is Pattern.KNOWN_BUG and direct and affected):
        bugs = (APICV_BUG.name, NARROW_RACE.name)
        this, other = bugs if pattern is Pattern.KNOWN_BUG else bugs[::-1]
        return (
            f"{case.name}: this is the {this}, and not the {other}: KVM_SET_LAPIC alone lost "
            f"{lost}."
        )
    if affected and direct:
        counts = " ".join(f"--tmcct {each}" for each in TELLING_NS)
        return f"{case.name}: KVM_SET_LAPIC alone lost {lost}. `{counts}` tell which bug this is."
    if not affected:
        return ""
    witness = (
        f"KVM_SET_LAPIC alone lost {lost or 'none'}."
        if series
        else "`losttick probe` gives a second witness: TMCCT 0 against 1 ns and 1 ms."
    )
    return (
        f"{case.name}: QEMU restores TMCCT 0, and its loads lost the timer. The {APICV_BUG.name} "
        f"does that, and the {NARROW_RACE.name} does not. {witness}"
    )


def _likeness(bug: KnownBug) -> Section:
    return Section(
        f"A resemblance: {bug.name}",
        (
            f"It {bug.effect}. Kernels: {bug.affected_kernels}. Fixed by: {bug.fixed_by}. "
            f"{bug.advice} A resemblance is a hint: something else can show the same.",
        ),
    )


def _series_of(case: Case, report: Report) -> Sequence[Series]:
    """Return the series of a case's direct test; none if nobody made one."""
    if isinstance(report.result, DirectResult):
        hosts = [each for each in report.result.hosts if each.name == case.name]
        return [each.series for each in hosts[0].series] if hosts else ()
    tests = [each.counts.direct_test for each in report.result.cells if each.cell.id == case.name]
    return tests[0].series if tests and isinstance(tests[0], DirectCounts) else ()


def _first_tick(report: Report, cases: Sequence[Case]) -> Sequence[Section]:
    """Return what the first ticks show of the kernel, where the APICv bug could strike."""
    if not isinstance(report.result, RunResult):
        return []
    names = {case.name for case in cases}
    cells = [each for each in report.result.cells if each.cell.id in names]
    said = [line for each in cells if (line := _trigger(each))]
    return [Section("First tick", tuple(said))] if said else []


def _trigger(cell: CellResult) -> str:
    """Return whether a kernel fires a restored timer at once; empty if nothing shows it."""
    strikes = APICV_BUG.strikes(cell.cell.mode, cell.cell.state)
    if not strikes or "KVM_SET_LAPIC" in cell.exposure.why:
        return ""
    counts = cell.counts.outcomes
    at_once, whole = counts[Outcome.IMMEDIATE], counts[Outcome.FULL_PERIOD]
    if not at_once and not whole:
        return ""
    has = "has" if at_once >= whole else "does not have"
    return (
        f"{cell.cell.id}: {at_once} at once, {whole} after a full period: this kernel {has} "
        "8e6ed96cdd50. The first tick says nothing about the fix, 9cfec6d097c6."
    )


def _hang(report: Report, cases: Sequence[Case]) -> Sequence[Section]:
    """Return the diagnosis of one hang, with the part of the kernel's trace that shows it."""
    for case in cases:
        for place in case.evidence:
            found = read_evidence(report.folder, place)
            if found.seen and found.seen.diagnosis:
                return [_one_hang(place, found)]
    return []


def _one_hang(place: str, found: EvidenceFiles) -> Section:
    assert found.seen is not None
    assert found.seen.diagnosis is not None
    said = f"{found.seen.cell}, {place}: {found.seen.diagnosis.cause}."
    blocks: list[Block] = [said, found.seen.diagnosis.sentence]
    if lines := _excerpt(found.trace):
        blocks += ["The kernel's trace of that load:", Excerpt(lines)]
    else:
        blocks.append("There is no trace of the kernel: `losttick doctor` says how to get one.")
    return Section("One hang", tuple(blocks))


def _excerpt(trace: str) -> tuple[str, ...]:
    """Return the beginning of a trace's last load, which has the restore and the first entry."""
    lines = [line for line in last_load(trace).splitlines() if not _NOISE.match(line)]
    if len(lines) <= MOST_LINES:
        return tuple(lines)
    left_out = len(lines) - MOST_LINES
    return (*lines[:MOST_LINES], f"[... {left_out} more lines in trace.txt ...]")


def _reproduce(report: Report) -> tuple[Block, ...]:
    """Return the commands that repeat the result, and those that show the bug elsewhere."""
    blocks: list[Block] = []
    if again := rerun(report):
        direct = isinstance(report.result, DirectResult)
        what = "The same test again:" if direct else "The same cells, phases and order again:"
        blocks += [what, Commands(tuple(again.split("\n")))]
    if any(case.verdict is Verdict.AFFECTED for case in report.cases) or may_be_the_bug(report):
        if not is_lab(report) and not isinstance(report.result, DirectResult):
            counts = "--tmcct 0 --tmcct 1 --tmcct 1000000"
            blocks += [
                "KVM_SET_LAPIC alone, without QEMU, in some seconds:",
                Commands((f"losttick probe {counts}",)),
            ]
        blocks += [
            "On any computer, in a lab: a kernel with the fix, the same with the fix reverted, and "
            "that without APICv:",
            Commands(("losttick lab run", "losttick lab probe")),
        ]
    return tuple(blocks)
