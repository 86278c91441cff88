"""The answer in a paragraph, for a person who does not know the hardware."""

from collections.abc import Sequence

from orchestrator.bugs.catalogue import APICV_BUG, NARROW_RACE
from orchestrator.bugs.exposure import ExposureState, Reason
from orchestrator.bugs.jargon import jargon
from orchestrator.findings.outcome import Outcome
from orchestrator.findings.witness import Says
from orchestrator.results.explanation.counted import asked, telling
from orchestrator.results.report import Case, Report
from orchestrator.verdict.direct import DirectResult
from orchestrator.verdict.pattern import Pattern, read_pattern
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict

#: Why the known bug cannot strike, or could not show in the test.
_SPARED = {
    Reason.TCG: (
        "But the test ran without the hardware's help for virtual machines (KVM), so it says "
        "nothing about virtual machines that use it."
    ),
    Reason.AMD: "The known bug cannot strike here: it needs an Intel CPU, and this one is AMD's.",
    Reason.PARAVIRTUAL_KVM: (
        "The known bug cannot strike here: KVM runs without the feature of Intel CPUs that the "
        "bug needs. The same kernel may still have the bug on other computers."
    ),
    Reason.APICV_OFF: (
        "The known bug cannot strike here: the feature of Intel CPUs that it needs is missing or "
        "switched off. The same kernel may still have the bug on other computers."
    ),
    Reason.APICV_INHIBITED: (
        "The known bug cannot strike such a virtual machine: KVM does not use the feature of "
        "the CPU that the bug needs for it."
    ),
}

_SPARED_BY_SETTINGS = "But the test had settings with which the known bug cannot show."


def answer(report: Report) -> str:
    """Return what was found and what to do, in one paragraph without jargon."""
    cases = telling(report)
    match report.verdict:
        case Verdict.AFFECTED:
            said = _affected(report, cases)
        case Verdict.ANOMALOUS:
            said = _anomalous(report, cases)
        case Verdict.CLEAN:
            said = _clean(report, cases)
        case Verdict.SKIPPED:
            said = _skipped(report, cases)
        case Verdict.INCONCLUSIVE:
            said = _inconclusive(report, cases)
    return " ".join([*_before(report), *said])


def is_lab(report: Report) -> bool:
    """Return whether a report is of kernels in a lab, and not of the computer itself."""
    return report.command.startswith("lab")


def narrow(report: Report) -> bool:
    """Return whether a direct test found only the narrow race, which no load by QEMU meets."""
    return isinstance(report.result, DirectResult) and all(
        read_pattern([each.series for each in host.series]) is Pattern.NARROW
        for host in report.result.hosts
        if host.name in {case.name for case in telling(report)}
    )


def may_be_the_bug(report: Report) -> bool:
    """Return whether an anomalous run has losses like the known bug's that nothing contradicts."""
    if not isinstance(report.result, RunResult):
        return False
    names = {case.name for case in telling(report)}
    return any(
        each.counts.bug_losses
        and each.exposure.state is not ExposureState.NOT_EXPOSED
        and not any(said.says is Says.CONTRADICTS for said in each.witnesses)
        for each in report.result.cells
        if each.cell.id in names
    )


def _before(report: Report) -> list[str]:
    """Return what must be said before the answer."""
    said = []
    if report.went_down:
        said.append(
            "The computer went down while the test ran. The test itself may have caused that, so "
            "do not start it again beside work that you have not saved."
        )
    if report.interrupted is not None and report.verdict is not Verdict.INCONCLUSIVE:
        said.append("The test has not come to its end. So far:")
    return said


def _subject(report: Report, cases: Sequence[Case]) -> str:
    if not is_lab(report):
        return "This computer's Linux kernel"
    lab = next((each.lab for each in cases if each.lab), None)
    name = f" {lab.version}" if lab and not jargon(lab.version) else ""
    changed = "" if lab is None or lab.untouched else ", changed for the test,"
    return f"The Linux kernel{name}{changed} on an emulated computer"


def _in_lab(report: Report) -> list[str]:
    if not is_lab(report):
        return []
    return ["This says nothing about the kernel that this computer runs: `losttick run` tests it."]


def _loads(cases: Sequence[Case]) -> int:
    return sum(each.trials for each in cases)


def _lost(cases: Sequence[Case]) -> int:
    return sum(each.lost for each in cases)


def _affected(report: Report, cases: Sequence[Case]) -> list[str]:
    subject, direct = _subject(report, cases), isinstance(report.result, DirectResult)
    if narrow(report):
        return [
            f"{subject} has a rare form of a known bug: {NARROW_RACE.plain}.",
            "So it does not explain an emulator that freezes. A newer kernel mends it.",
            *_in_lab(report),
        ]
    sure = direct or any(
        each.witnessed
        for each in (report.result.cells if isinstance(report.result, RunResult) else ())
        if each.verdict is Verdict.AFFECTED
    )
    has = "has a known bug" if sure else "has, as far as this test can tell, a known bug"
    froze = (
        f"A short test of the kernel alone shows it {_lost(cases):,} times in {_loads(cases):,}."
        if direct
        else f"A virtual machine froze after {_lost(cases):,} of {_loads(cases):,} loads."
    )
    if is_lab(report):
        return [f"{subject} {has}: {APICV_BUG.plain}.", froze, *_in_lab(report)]
    return [
        f"{subject} {has}: {APICV_BUG.plain}.",
        froze,
        "The Android Emulator and other programs that use KVM are affected. Install a newer "
        "kernel. Until then start virtual machines without their snapshot, or switch off the one "
        "feature of the CPU that the kernel handles wrongly (`losttick explain` gives the "
        "commands).",
    ]


def _anomalous(report: Report, cases: Sequence[Case]) -> list[str]:
    lost, loads = _lost(cases), _loads(cases)
    if isinstance(report.result, DirectResult):
        found = (
            f"{_subject(report, cases)} lost {lost:,} of {loads:,} timers in a short test of the "
            "kernel alone, but not in the way of the known bug."
        )
        return [found, _ASK, *_in_lab(report)]
    where = "on an emulated computer " if is_lab(report) else ""
    if may_be_the_bug(report):
        return [
            f"A virtual machine {where}froze after {lost:,} of {loads:,} loads of a snapshot. "
            "This may be a known bug of the kernel, but it was seen too rarely to be sure.",
            "Run the test again with more loads.",
        ]
    likely = [each.bug for case in cases for each in case.known_bugs]
    resembles = (
        [f"It resembles a known fault, but that is only a hint: {likely[0].plain}."]
        if likely
        else []
    )
    if lost:
        found = (
            f"A virtual machine {where}froze after {lost:,} of {loads:,} loads of a snapshot, but "
            "not by the known bug that this test looks for."
        )
    else:
        found = (
            f"After some of {loads:,} loads of a snapshot, a virtual machine {where}"
            f"{_went_wrong(cases)}. It did not freeze for good: this is not the known bug that "
            "this test looks for."
        )
    return [found, *resembles, _ASK]


_ASK = (
    "Something is wrong with this kernel, QEMU or computer. Show the result to somebody who knows "
    "them."
)


def _went_wrong(cases: Sequence[Case]) -> str:
    """Return what went wrong in loads of which none was lost, in the order of gravity."""
    seen = {name for case in cases for name, count in case.outcomes.items() if count}
    return next((words for name, words in _WRONG.items() if name in seen), _OTHER)


_OTHER = "ran on in another way than before"

#: A person sees this of outcomes that are neither normal nor a loss.
_WRONG = {
    Outcome.CRASHED: "crashed, or its QEMU did",
    Outcome.RECOVERED: "stood still for a while",
    Outcome.NOT_LOADED: "ran on as if nothing had been loaded",
    Outcome.EXTRA: "was interrupted where nothing was due",
    Outcome.RATE: "ran on with a timer of the wrong speed",
    Outcome.CLOCK: "ran on with a clock that was wrong",
    Outcome.EARLY: "had its timer go off too early",
    Outcome.MISSED: "had its timer go off too late",
    Outcome.LATE: "had its timer go off too late",
}


def _clean(report: Report, cases: Sequence[Case]) -> list[str]:
    if isinstance(report.result, DirectResult):
        found = (
            f"{_subject(report, cases)} lost none of {_loads(cases):,} timers in a short test of "
            "the kernel alone."
        )
    else:
        found = f"A snapshot was loaded {_loads(cases):,} times, and nothing froze."
    known = _exposed(cases)
    if is_lab(report):
        return [found, f"{_subject(report, cases)} was tested. {known}", *_in_lab(report)]
    return [
        found,
        known,
        "If a virtual machine or an emulator freezes here all the same, the cause is something "
        "else. Try to start it without its snapshot.",
    ]


def _exposed(cases: Sequence[Case]) -> str:
    """Return what clean cases show, by whether the bug could have shown."""
    exposures = [each.exposure for each in cases]
    states = {each.state for each in exposures}
    if states == {ExposureState.EXPOSED}:
        return (
            "The known bug that freezes virtual machines would have shown nearly every time, so "
            f"it is not here.{_bound(cases)}"
        )
    if states == {ExposureState.NOT_EXPOSED}:
        # A cell that ran under KVM tells more about the computer than one that ran without.
        reason = max((each.reason for each in exposures), key=lambda each: each is not Reason.TCG)
        return _SPARED.get(reason, _SPARED_BY_SETTINGS)
    return (
        "It is not known whether the known bug that freezes virtual machines could have shown, "
        "so this is only a weak sign that it is not here."
    )


def _bound(cases: Sequence[Case]) -> str:
    """Return how often something rarer may happen that the loads did not meet."""
    rates = [each.rate for each in cases if each.rate and each.trials]
    if not rates:  # a direct test
        return ""
    rate = max(rates, key=lambda each: each.high)
    return (
        f" Something rarer may still be: these loads show, at {rate.confidence:.0%} confidence, "
        f"that fewer than {rate.high:.{1 if rate.high < 0.1 else 0}%} of all loads freeze."
    )


def _skipped(report: Report, cases: Sequence[Case]) -> list[str]:
    untested, of = len(cases), len(asked(report))
    what = "The test could not run" if untested == of else f"{untested} of {of} tests could not run"
    return [
        f"{what}: this computer, or its QEMU, lacks something that is needed.{_reason(cases)}",
        "`losttick doctor` names what is missing, and the command that would mend it.",
    ]


def _inconclusive(report: Report, cases: Sequence[Case]) -> list[str]:
    nothing = "so nothing is known about this computer, for good or bad."
    if is_lab(report):
        nothing = "so nothing is known about the kernels that were tested."
    if report.interrupted is not None:
        again = "Start it again" if report.command != "run" else "Continue it with `--resume`"
        return [f"The test was cut short before it could give an answer, {nothing} {again}."]
    if any(each.ended.failed for each in asked(report)):
        return [
            f"The test itself failed before it could give an answer, {nothing}",
            "Run it again. If it fails again, `losttick doctor` says what is wrong here.",
        ]
    if not cases:
        return [
            "The test of kernels with a known answer gave another answer, so the test did not "
            f"work here, {nothing}",
            "Run it again when the computer has nothing else to do.",
        ]
    reason = _reason(cases)
    busy = (
        "This is most often so because the computer was busy. Close other programs, and run the "
        "test again."
    )
    return [f"The test could not give an answer, {nothing}{reason or f' {busy}'}"]


def _reason(cases: Sequence[Case]) -> str:
    """Return the reason of the first case, if it is short and without jargon."""
    why = cases[0].why.rstrip(".") if cases else ""
    return f" The reason: {why}." if why and len(why) < 300 and not jargon(why) else ""
