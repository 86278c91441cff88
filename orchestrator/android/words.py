"""The report, in the words of the person whose emulator freezes."""

import dataclasses
import shlex
from collections.abc import Sequence

from orchestrator.android.conclusion import Answer, Conclusion, Emulator, Kernel
from orchestrator.android.findings import Findings, Guest
from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.remedy import (
    COLD_BOOT,
    NEWER_KERNEL,
    OTHER_CAUSES,
    WITHOUT_SNAPSHOT,
    Step,
    switched_off,
)
from orchestrator.results.explanation.answer import answer
from orchestrator.results.explanation.text import Block, Section, of_steps
from orchestrator.results.report import Report

#: Gives the emulator's guest a processor without the timer that hides the bug.
WITHOUT_DEADLINE = ("--qemu-arg=-cpu", "--qemu-arg=android64,-tsc-deadline")


def sections(
    conclusion: Conclusion,
    findings: Findings | None,
    report: Report | None,
    avd: str,
    untested: Sequence[str] = (),
) -> Sequence[Section]:
    """Return the whole report.

    Args:
        conclusion: of what follows.
        findings: of the emulator; None if it could not be tested.
        report: of the kernel's test; None if it did not run.
        avd: the name of the virtual device.
        untested: why a part could not be tested, as sentences.
    """
    opening = Section("", (_answer(conclusion, findings, avd),))
    told = [opening, Section("This computer's kernel", (_kernel(conclusion, report),))]
    if untested:
        told.append(Section("What could not be tested", tuple(untested)))
    told.append(Section("What helps", _help(conclusion, avd)))
    if details := _details(findings):
        told.append(Section("Details for somebody who knows KVM", details))
    return told


def _answer(conclusion: Conclusion, findings: Findings | None, avd: str) -> str:
    froze = _froze(findings, avd)
    match conclusion.answer, conclusion.emulator:
        case Answer.YES, _:
            return f"{froze} This is the kernel bug: {APICV_BUG.plain}."
        case Answer.LIKELY, Emulator.LIKE_THE_BUG:
            return (
                f"{froze} It looks like the kernel bug ({APICV_BUG.plain}), but the test of the "
                "kernel itself gave no clear answer, so it is not certain."
            )
        case Answer.LIKELY, _:
            return (
                f"{froze} This is probably the kernel bug ({APICV_BUG.plain}): this computer's "
                "kernel has it. The emulator's own processors could not be asked."
            )
        case Answer.NO, Emulator.OTHERWISE:
            return (
                f"{froze} This is not the kernel bug: what its virtual processors show speaks "
                "against it (see the details)."
            )
        case Answer.NO, Emulator.STOPPED:
            return (
                f"The emulator of {avd} keeps its virtual device stopped, by its own word. This "
                "is not the kernel bug: a guest that the bug freezes still counts as running."
            )
        case Answer.NO, _:
            return (
                f"{froze} This is not the kernel bug: the kernel was tested in the same way, and "
                "does not freeze virtual machines. Something else freezes the emulator."
            )
        case Answer.NOT_SEEN, Emulator.HIDDEN:
            return (
                f"{_ran(findings, avd)} But its Android uses another timer of the processor, "
                "which the kernel bug does not touch: the emulator would not have shown the bug."
            )
        case Answer.NOT_SEEN, _:
            return f"{_ran(findings, avd)} {_worth(conclusion, findings)}"
        case _, Emulator.UNTESTED:
            return f"The emulator of {avd} could not be tested. The kernel's own test says more."
        case _:
            return (
                f"{froze} Whether this is the kernel bug is not known: neither the emulator's "
                "processors nor the test of the kernel gave an answer."
            )


def _froze(findings: Findings | None, avd: str) -> str:
    last = findings.loads[-1] if findings and findings.loads else None
    if last is None:
        return f"The emulator of {avd} was not tested."
    if not last.number:
        return f"The emulator of {avd} is frozen: Android gives no sign of life."
    times = "" if last.number == 1 else f" It had survived {_loads(last.number - 1)} before."
    return f"The emulator of {avd} froze when a snapshot was loaded.{times}"


def _ran(findings: Findings | None, avd: str) -> str:
    loads = sum(each.number > 0 for each in findings.loads) if findings else 0
    if not loads:
        return f"The emulator of {avd} runs: Android gives signs of life. Nothing was loaded."
    return f"The emulator of {avd} did not freeze in {_loads(loads)} of a snapshot."


def _worth(conclusion: Conclusion, findings: Findings | None) -> str:
    """Return what loads that went well show."""
    if findings is None or not any(each.number for each in findings.loads):
        return ""
    if conclusion.kernel is Kernel.SPARED:
        return "The kernel bug could not have frozen it on this computer."
    if not findings.timers:
        return (
            "Which timer its Android uses is not known. The kernel bug touches only one of them, "
            "so these loads say little about it."
        )
    return (
        "The kernel bug, where a computer has it, freezes such an emulator nearly every time that "
        "a snapshot is loaded."
    )


def _loads(number: int) -> str:
    return "1 load" if number == 1 else f"{number} loads"


def _kernel(conclusion: Conclusion, report: Report | None) -> str:
    if report is None:
        return "It was not tested, so nothing is known about it."
    told = {
        Kernel.HAS_BUG: "It lacks the fix for the bug: that was seen, not read off its version.",
        Kernel.LACKS_BUG: "It does not have the bug: that was seen, not read off its version.",
        Kernel.SPARED: "The bug cannot strike on this computer as it is now.",
        Kernel.UNKNOWN: "The test gave no clear answer about the bug.",
    }[conclusion.kernel]
    return f"{told} {answer(report)}"


def _help(conclusion: Conclusion, avd: str) -> tuple[Block, ...]:
    again = Step("Then test again:", (f"losttick android --avd {shlex.quote(avd)}",))
    steps: list[Step] = []
    blame = conclusion.kernel is Kernel.HAS_BUG or conclusion.answer is Answer.LIKELY
    if blame:
        if conclusion.answer is not Answer.NOT_SEEN:
            steps.append(WITHOUT_SNAPSHOT)
        steps += [NEWER_KERNEL, again, _no_quick_boot(), *switched_off(APICV_BUG)]
    else:
        steps += OTHER_CAUSES
    if conclusion.emulator is Emulator.HIDDEN:
        steps.append(
            Step(
                "To let the emulator use the timer that the bug strikes (nobody has tried yet "
                "whether this emulator accepts that):",
                (f"losttick android --avd {shlex.quote(avd)} {shlex.join(WITHOUT_DEADLINE)}",),
            )
        )
    return of_steps([_for_avd(step, avd) for step in steps])


def _no_quick_boot() -> Step:
    return Step(
        "Until the kernel is mended, start the emulator without quick boot each time, by the "
        "command below; or choose `Cold boot` for the virtual device in Android Studio (Device "
        "Manager, Edit, Show Advanced Settings, Boot option):",
        (COLD_BOOT.replace("-no-snapshot-load", "-no-snapshot"),),
    )


def _for_avd(step: Step, avd: str) -> Step:
    """Return a step whose commands name the virtual device."""
    commands = tuple(
        each.replace("-avd NAME", f"-avd {shlex.quote(avd)}") for each in step.commands
    )
    return dataclasses.replace(step, commands=commands)


def _details(findings: Findings | None) -> tuple[Block, ...]:
    if findings is None:
        return ()
    told: list[Block] = []
    if findings.qemu:
        timers = ", ".join(f"vCPU {n}: {each}" for n, each in enumerate(findings.timers))
        told.append(f"QEMU {findings.qemu}; LAPIC timers before the save: {timers}.")
    if findings.hidden:
        told.append(
            "TSC-deadline hides the bug: QEMU writes the deadline after the LAPIC's state. "
            "`-qemu -cpu android64,-tsc-deadline` would take it from the guest; whether the "
            "emulator lets a later -cpu win is unverified."
        )
    for load in findings.loads:
        what = f"load {load.number}" if load.number else "as it was found"
        uptime = load.watched.uptime_rose
        asked = "" if uptime is None else f", uptime {'rises' if uptime else 'does not rise'}"
        word = "ran on" if load.guest is Guest.RAN else load.guest.value
        told.append(
            f"{what}: {word}; heartbeats: {load.watched.beats} in {load.watched.seconds:.1f} s"
            f"{asked}."
        )
    if findings.freeze:
        told.append(f"{findings.freeze.likeness}: {findings.freeze.why}")
    if findings.trouble:
        told.append(findings.trouble)
    return tuple(told)
