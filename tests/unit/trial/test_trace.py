from dataclasses import replace

import pytest

from orchestrator.findings.witness import TraceReading
from orchestrator.guest.tick.config import TICK_VECTOR
from orchestrator.trial.trace import TraceFinding, last_load, read_trace, tsc_moved
from tests.support.places import GOLDEN

EVENTS = "# events: kvm/kvm_apic_accept_irq kvm/kvm_write_tsc_offset kvm/kvm_entry\n"


def golden(name: str) -> str:
    return (GOLDEN / f"trace-{name}.txt").read_text()


def at(place: float, what: str) -> str:
    return f" CPU 0/KVM-412 [001] d..1. 100.{int(place * 1000):06}: {what}\n"


def mark(place: float, what: str) -> str:
    return at(place, f"tracing_mark_write: losttick: {what}")


def accepted(place: float, vector: int = TICK_VECTOR, vcpu: str = "0") -> str:
    return at(place, f"kvm_apic_accept_irq: apicid {vcpu} vec {vector} (Fixed|edge)")


def restored(place: float, vcpu: int = 0) -> str:
    return at(place, f"kvm_write_tsc_offset: vcpu={vcpu} prev=1 next=2")


def entry(place: float, vcpu: int = 0) -> str:
    return at(place, f"kvm_entry: vcpu {vcpu}, rip 0x2f")


@pytest.mark.parametrize("name", ["vanished", "lab-fix-reverted"])
def test_a_vector_that_was_accepted_and_vanished(name: str) -> None:
    """The second was recorded in a lab whose kernel has the fix reverted.

    An interrupt that is posted has two events there, and counts once.
    """
    finding = read_trace(golden(name), TICK_VECTOR)
    assert finding == TraceFinding(in_load=1, later=0)
    assert finding.reading(taken=0) is TraceReading.VANISHED
    assert finding.sentence(TICK_VECTOR, 0).endswith("it was accepted, and vanished.")


def test_a_timer_that_was_never_started() -> None:
    """Recorded in a lab whose kernel never starts the restored timer."""
    finding = read_trace(golden("lab-never-started"), TICK_VECTOR)
    assert finding == TraceFinding(in_load=0, later=0)
    assert finding.reading(taken=0) is TraceReading.NEVER
    assert finding.sentence(TICK_VECTOR, 0).endswith(
        "the timer for which the guest waits never fired."
    )


def test_a_trace_of_the_control() -> None:
    """Recorded: the swallowed interrupt has another vector, and the tick's is never accepted."""
    text = golden("control-kvm-pvm")
    assert read_trace(text, TICK_VECTOR) == TraceFinding(in_load=0, later=0, others=(0x41,))
    assert read_trace(text, 0x41) == TraceFinding(in_load=0, later=1)


def test_ticks_that_the_guest_took_have_not_vanished() -> None:
    """The third arming after the load is dropped: two ticks were accepted, and both taken."""
    text = EVENTS + "".join(
        [mark(0, "load"), restored(1), accepted(2), restored(3), mark(4, "cont"), entry(5),
         accepted(6), entry(7)]
    )  # fmt: skip
    finding = read_trace(text, TICK_VECTOR)
    assert finding == TraceFinding(in_load=1, later=1)
    assert finding.reading(taken=2) is TraceReading.NEVER
    assert finding.reading(taken=1) is TraceReading.VANISHED


def test_ticks_before_a_load_into_a_running_guest_do_not_count() -> None:
    """`loadvm` stops and resumes the guest by itself: there is no marker of `cont`."""
    text = EVENTS + "".join(
        [mark(0, "load"), entry(1), accepted(2), entry(3), restored(4), accepted(5), restored(6),
         entry(7)]
    )  # fmt: skip
    assert read_trace(text, TICK_VECTOR) == TraceFinding(in_load=1, later=0)


def test_each_vcpu_has_its_own_events() -> None:
    text = EVENTS + "".join(
        [mark(0, "load"), restored(1), restored(1, 10), accepted(2, vcpu="a"), mark(3, "cont"),
         entry(4), entry(4, 10)]
    )  # fmt: skip
    assert read_trace(text, TICK_VECTOR, 10) == TraceFinding(in_load=1, later=0)
    assert read_trace(text, TICK_VECTOR, 0) == TraceFinding(in_load=0, later=0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (EVENTS + entry(1), "it does not reach back to the load"),
        ("# events:\n" + mark(0, "load"), "it did not record which interrupts were accepted"),
        (EVENTS + mark(0, "load") + mark(1, "cont"), "the recording began after the load"),
        (mark(0, "load") + entry(1), "it does not show when the guest went on"),
    ],
)
def test_a_trace_that_cannot_tell_says_why(text: str, why: str) -> None:
    finding = read_trace(text, TICK_VECTOR)
    assert finding.unreadable == why
    assert finding.reading(taken=0) is TraceReading.UNREADABLE
    assert why in finding.sentence(TICK_VECTOR, 0)


def test_an_interrupt_that_may_be_posted_unseen_is_not_called_never_fired() -> None:
    quiet = EVENTS + mark(0, "load") + restored(1) + mark(2, "cont") + entry(3)
    elsewhere = quiet.replace("# events:", "# events: pi_inject_timer")
    finding = read_trace(elsewhere, TICK_VECTOR)
    assert read_trace(quiet, TICK_VECTOR) == replace(finding, partial=False)
    assert finding.reading(taken=0) is TraceReading.UNREADABLE
    assert "does not tell" in finding.sentence(TICK_VECTOR, 0)


def test_the_last_load_keeps_the_names_of_the_events() -> None:
    text = EVENTS + mark(0, "load") + entry(1) + mark(2, "load") + entry(3)
    assert last_load(text) == EVENTS + mark(2, "load") + entry(3)


def test_how_far_a_load_moved_the_tsc() -> None:
    """The first was recorded in a lab: the TSC went back to the save, 0.7 s at 50 MHz."""
    assert tsc_moved(golden("lab-fix-reverted")) == -36_337_227
    other = at(4, "kvm_write_tsc_offset: vcpu=1 prev=18446744073709551615 next=2")
    text = EVENTS + "".join([restored(0), restored(0, 1), mark(1, "load"), restored(2), other])
    assert tsc_moved(text) == 1
    assert tsc_moved(text, 1) == 3  # offsets are modulo 2^64
    assert tsc_moved(text, 2) is None
    # A new QEMU's vCPU has had no offset before.
    fresh = EVENTS + mark(1, "load") + at(2, "kvm_write_tsc_offset: vcpu=0 prev=0 next=7")
    assert tsc_moved(fresh) is None
    kept = EVENTS + mark(1, "load") + at(2, "kvm_write_tsc_offset: vcpu=0 prev=7 next=7")
    assert tsc_moved(kept) == 0


def test_the_tsc_of_a_load_that_was_not_recorded() -> None:
    assert tsc_moved(EVENTS + restored(0)) is None
    assert tsc_moved(EVENTS + restored(0) + mark(1, "load") + entry(2)) is None
