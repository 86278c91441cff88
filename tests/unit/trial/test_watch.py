import pytest

from orchestrator.trial.watch import Mark


@pytest.mark.parametrize(
    ("cpu_ns", "delay_ns", "silent_ns"),
    [
        (0, 0, 9_000),  # it slept by itself
        (4_000, 0, 4_000),  # it ran
        (0, 4_000, 0),  # it wanted to run, and did not get to
        (1, 4_000, 1),
    ],
)
def test_the_time_of_a_sleeping_guest_is_the_hosts(
    cpu_ns: int, delay_ns: int, silent_ns: int
) -> None:
    before = Mark(100, 1_000, 50)
    assert before.silent_ns(Mark(100 + cpu_ns, 10_000, 50 + delay_ns)) == silent_ns


@pytest.mark.parametrize("delay_ns", [None, 50])
def test_a_guest_that_never_sleeps_is_silent_only_while_it_runs(delay_ns: int | None) -> None:
    """The same holds on a host that does not count run delays."""
    assert Mark(100, 1_000, delay_ns).silent_ns(Mark(100, 10_000, None)) == 0
    assert Mark(100, 1_000, None).silent_ns(Mark(107, 10_000, None)) == 7
