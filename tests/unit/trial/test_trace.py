from orchestrator.guest.tick.config import TICK_VECTOR
from orchestrator.trial.trace import TraceFinding, read_trace
from tests.support.places import GOLDEN


def test_a_vector_that_was_accepted_and_vanished() -> None:
    finding = read_trace((GOLDEN / "trace-vanished.txt").read_text(), TICK_VECTOR)
    assert finding == TraceFinding(in_load=1, later=0)
    assert finding.sentence(TICK_VECTOR).endswith("it was accepted, and vanished.")


def test_a_trace_of_the_control() -> None:
    """Recorded: the swallowed interrupt has another vector, and the tick's is never accepted."""
    text = (GOLDEN / "trace-control-kvm-pvm.txt").read_text()
    assert read_trace(text, TICK_VECTOR) == TraceFinding(in_load=0, later=0)
    assert read_trace(text, 0x41) == TraceFinding(in_load=0, later=1)
