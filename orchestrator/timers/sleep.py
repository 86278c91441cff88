"""Explains why no tick woke an idle vCPU, whose guest cannot testify."""

from orchestrator.findings.cause import Cause
from orchestrator.guest.lapic import LVT_TIMER_MODE, redivided
from orchestrator.timers.timer import Sleep


def explain_sleep(sleep: Sleep, title: str, *, expires: bool) -> tuple[Cause, str]:
    """Return the cause and the sentence for a timer of the LAPIC.

    Args:
        sleep: what is known.
        title: the timer's mode in words.
        expires: whether the timer stands still once it has fired.
    """
    now, saved, vector, why = sleep.lapic, sleep.saved, sleep.vector, sleep.why
    read = (
        f"LVTT {now.lvtt:#x}, TMICT {now.tmict}, IRR {_named(now.irr)}, ISR {_named(now.isr)}, "
        f"TPR {now.tpr:#x}"
    )
    shown = f"`info lapic` shows {read}"
    if now.masked or now.vector != vector:
        return Cause.NOT_DELIVERABLE, f"{why}; LVTT was {saved.lvtt:#x} in the save, and {shown}."
    if (now.lvtt ^ saved.lvtt) & LVT_TIMER_MODE:
        return Cause.NOT_RESTORED, f"{why}; LVTT was {saved.lvtt:#x} in the save, and {shown}."
    if expires and now.tmict == 0:
        return (
            Cause.NOT_RESTORED,
            f"{why}; the guest armed its timer (TMICT was {saved.tmict} in the save), and {shown}.",
        )
    if changed := redivided(saved.divide, now):
        return Cause.NOT_RESTORED, f"{why}; {changed}: {shown}."
    if now.isr:
        return Cause.IN_SERVICE, f"{why}; an interrupt is in service, and {shown}."
    if vector in now.irr:
        return Cause.PENDING, f"{why}; the tick is in the IRR, yet the vCPU sleeps: {shown}."
    if now.irr:
        return Cause.WRONG_VECTOR, f"{why}; another vector waits in the IRR: {shown}."
    if now.tpr >> 4 >= vector >> 4:
        return Cause.NOT_DELIVERABLE, f"{why}; TPR holds the tick back: {shown}."
    takes_ns = now.armed_ns or 0
    if not expires or not sleep.slept or takes_ns >= sleep.silent_ns:
        return (
            Cause.UNEXPLAINED,
            f"{why}, and an idle guest cannot testify. The vCPU is halted with interrupts on: "
            f"{shown}.",
        )
    if sleep.overdue_ns is not None and sleep.overdue_ns < 0:
        return (
            Cause.UNEXPLAINED,
            f"{why}, but the guest's kernel, asked by SysRq, waits for no interrupt that was due: "
            f"{shown}.",
        )
    what = "expired" if sleep.fired else "expired or was never started"
    return (
        Cause.LOST_INTERRUPT,
        f"the {title} LAPIC timer {what}, and its interrupt never reached the guest: {why}; the "
        f"vCPU is halted with interrupts on, its thread slept without an exit, nothing is pending "
        f"or in the way ({read}), and the timer, which takes {takes_ns / 1e6:.1f} ms, had "
        f"{sleep.silent_ns / 1e6:.0f} ms. {_account(sleep)}, and nobody saw the current count, or "
        "that a re-arm brings ticks back.",
    )


def _account(sleep: Sleep) -> str:
    """Return what the guest's kernel says of its timer, as a clause."""
    if sleep.overdue_ns is None:
        return "The guest is idle and cannot testify; its kernel did not answer SysRq"
    return (
        "The guest's process is idle and cannot testify; its kernel, asked by SysRq, waits for an "
        f"interrupt that was due {sleep.overdue_ns / 1e6:.1f} ms ago"
    )


def _named(vectors: frozenset[int]) -> str:
    return "+".join(f"{vector:#x}" for vector in sorted(vectors)) or "clear"
