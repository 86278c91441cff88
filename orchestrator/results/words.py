"""Outcomes and causes in plain words, for people who have not read the docs."""

from collections.abc import Mapping

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome

#: The meaning of each outcome of a trial.
OUTCOMES: Mapping[Outcome, str] = {
    Outcome.IMMEDIATE: "ticks went on; the first came at once",
    Outcome.FULL_PERIOD: "ticks went on; the first came after a whole period",
    Outcome.REMAINING: "ticks went on; the first came when it was due",
    Outcome.INDISTINCT: "ticks went on; timing can't tell which of these the first was",
    Outcome.EARLY: "ticks went on, but the first came before it could be due",
    Outcome.LATE: "ticks went on, but one came up to a period after it was due",
    Outcome.MISSED: "ticks went on, but whole periods passed without one",
    Outcome.EXTRA: (
        "more ticks came than the time allows, or the LAPIC got other interrupts or another task "
        "priority"
    ),
    Outcome.RATE: "ticks went on with a wrong period",
    Outcome.CLOCK: (
        "ticks went on, but a clock of the guest jumped, or the clocks of its vCPUs moved apart"
    ),
    Outcome.NOT_LOADED: (
        "ticks went on as if nothing had been loaded, or from another state than the save's"
    ),
    Outcome.LOST: "ticks stopped, and did not come back by themselves",
    Outcome.RECOVERED: "ticks stopped for many periods, and came back by themselves",
    Outcome.CRASHED: "the guest or QEMU crashed, or the guest was reset",
    Outcome.UNKNOWN: "losttick could not tell, for instance because the host stalled",
}

#: The meaning of each cause of a silence.
CAUSES: Mapping[Cause, str] = {
    Cause.LOST_INTERRUPT: (
        "the one-shot timer is over, nothing is pending or in the way, and no tick came"
    ),
    Cause.LOST_DEADLINE: "the TSC deadline passed, and its interrupt never reached the guest",
    Cause.DEADLINE_GONE: (
        "the deadline reads 0: it was not restored, or it passed and its interrupt was lost"
    ),
    Cause.LOST_PIC_INTERRUPT: (
        "the timer runs or raised its interrupt, the PIC has nothing pending, and no tick came"
    ),
    Cause.LOST_STIMER: "the Hyper-V timer is over, nothing is pending, and no tick came",
    Cause.PENDING: "the tick waits in the LAPIC, nothing holds it back, and it is not delivered",
    Cause.CAME_BACK: "ticks came back while the guest was looked at: by the look, or late",
    Cause.NOT_STARTED: "the timer was restored, but the kernel never started it",
    Cause.WRONG_VECTOR: "an interrupt came, or waits, on another vector than the tick's",
    Cause.NOT_REARMED: "the guest took its last tick and armed no other",
    Cause.NOT_RESTORED: "a register of the timer does not have the value that was saved",
    Cause.NO_EFFECT: "the guest's own numbers show that it does not run the saved state",
    Cause.NOT_DELIVERABLE: "the LAPIC or the guest holds the tick back",
    Cause.IN_SERVICE: (
        "an interrupt stays in service although no handler runs, and holds the tick back"
    ),
    Cause.GUEST_CRASHED: "the guest crashed, or was reset",
    Cause.QEMU_CRASHED: "QEMU ended itself, in its own words",
    Cause.VCPU_NOT_RUNNING: "QEMU does not run the vCPU",
    Cause.HALTED: "the vCPU of a guest that never halts is halted",
    Cause.NOT_EXECUTING: "QEMU runs the vCPU, but its program makes no progress",
    Cause.STORM: "the guest counts more ticks than the time allows, and does not get to print them",
    Cause.CONSOLE_DEAD: "the guest ticks on, but its console is silent",
    Cause.UNEXPLAINED: "the evidence fits no other cause",
    Cause.HARNESS_FAULT: "losttick or its host failed, not the guest",
}
