from pathlib import Path

import pytest

from orchestrator.findings.outcome import FirstTick, Outcome
from orchestrator.guest.lapic import Lapic, Registers, parse_lapic, parse_registers
from orchestrator.guest.tick.config import TICK_VECTOR
from orchestrator.guest.tick.lines import Tick
from orchestrator.guest.tick.state import GuestState, Stage
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.host import pressure
from orchestrator.timers.first_tick import WentOn, classify
from orchestrator.trial.look import reasons_against
from orchestrator.trial.pace import Pace
from orchestrator.trial.trace import TraceFinding, read_trace

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("info-lapic-*")), ids=lambda path: path.stem)
def test_info_lapic_of_every_qemu(path: Path) -> None:
    lapic = parse_lapic(path.read_text())
    assert lapic.vector == TICK_VECTOR
    assert not lapic.masked
    assert lapic.tmict == 20_000_000
    assert TICK_VECTOR not in lapic.isr


@pytest.mark.parametrize(
    "path", sorted(GOLDEN.glob("info-registers-*")), ids=lambda path: path.stem
)
def test_info_registers_of_every_qemu(path: Path) -> None:
    registers = parse_registers(path.read_text())
    assert 0 < registers.ip < 0x10000
    assert not registers.halted


def test_pending_vectors_are_read() -> None:
    text = (GOLDEN / "info-lapic-7.2-kvm.txt").read_text()
    lapic = parse_lapic(text.replace("IRR\t (none)", "IRR\t 64 255(level)"))
    assert lapic.irr == {64, 255}
    with pytest.raises(ValueError, match="no LVTT"):
        parse_lapic("nothing of use")
    with pytest.raises(ValueError, match="lacks IP"):
        parse_registers("")


@pytest.mark.parametrize(
    ("spun", "wall", "phase", "outcome"),
    [
        (0.0, 0.05, 0.5, Outcome.IMMEDIATE),
        (0.14, 0.2, 0.5, Outcome.IMMEDIATE),
        (0.5, 0.5, 0.5, Outcome.REMAINING),
        (0.62, 0.65, 0.36, Outcome.REMAINING),
        (0.97, 1.02, 0.36, Outcome.FULL_PERIOD),
        (1.0, 1.0, 0.64, Outcome.FULL_PERIOD),
        (0.25, 0.25, 0.36, Outcome.INDISTINCT),
        # A host that stalled: the guest made no progress, or we were slow to look.
        (0.0, 1.0, 0.5, Outcome.INDISTINCT),
        (0.0, 7.0, 0.5, Outcome.INDISTINCT),
        (2.0, 1.0, 0.5, Outcome.INDISTINCT),
    ],
)
def test_first_ticks(spun: float, wall: float, phase: float, outcome: Outcome) -> None:
    assert classify(FirstTick(spun, wall, 0.0), phase) == (outcome, 0)


@pytest.mark.parametrize(
    ("spun", "phase", "outcome"),
    [
        # Early in the period, what remains is nearly a full one.
        (0.95, 0.1, Outcome.INDISTINCT),
        (0.78, 0.1, Outcome.REMAINING),
        (0.02, 0.1, Outcome.IMMEDIATE),
        # Late in it, nearly nothing.
        (0.05, 0.9, Outcome.INDISTINCT),
        (0.0, 0.9, Outcome.INDISTINCT),
        (0.24, 0.9, Outcome.REMAINING),
        (1.0, 0.9, Outcome.FULL_PERIOD),
        # A little off the middle the kinds still lie apart.
        (0.69, 0.31, Outcome.REMAINING),
        (0.31, 0.69, Outcome.REMAINING),
        (-0.1, 0.69, Outcome.IMMEDIATE),
    ],
)
def test_first_ticks_that_fit_two_kinds_are_indistinct(
    spun: float, phase: float, outcome: Outcome
) -> None:
    assert classify(FirstTick(spun, max(0.0, spun), 0.0), phase) == (outcome, 0)


@pytest.mark.parametrize(("spun", "wall", "missing"), [(1.6, 1.7, 1), (2.0, 2.1, 1), (3.1, 9, 2)])
def test_missing_periods_need_both_clocks(spun: float, wall: float, missing: int) -> None:
    assert classify(FirstTick(spun, wall, 0.0), 0.5) == (Outcome.MISSED, missing)


def ticking(**changes: object) -> GuestState:
    fields: dict[str, object] = {
        "printing": False, "ticks": 9, "arms": 10, "spins": 500, "printed": 9,
        "stage": Stage.TICKING, "window_spins": 0,
    }  # fmt: skip
    return GuestState(**{**fields, **changes})  # type: ignore[arg-type]


ARMED = Lapic(lvtt=TICK_VECTOR, tmict=1000, irr=frozenset(), isr=frozenset())
RUNNING = Registers(ip=0x34, flags=0x202, halted=False)


def test_an_eligible_save() -> None:
    assert reasons_against(ticking(), ARMED, RUNNING, TimerMode.ONE_SHOT, 0.5) == ()


def test_the_phase_that_was_asked_for_is_the_one_that_counts() -> None:
    def reasons(phase: float) -> tuple[str, ...]:
        return reasons_against(ticking(), ARMED, RUNNING, TimerMode.ONE_SHOT, phase, (0.8, 1.0))

    assert reasons(0.9) == ()
    assert reasons(0.5) == ("off phase",)


@pytest.mark.parametrize(
    ("state", "lapic", "registers", "phase", "reason"),
    [
        (ticking(printing=True), ARMED, RUNNING, 0.5, "printing"),
        (ticking(printed=8), ARMED, RUNNING, 0.5, "printing"),
        (ticking(arms=9), ARMED, RUNNING, 0.5, "not armed"),
        (ticking(), Lapic(64, 0, frozenset(), frozenset()), RUNNING, 0.5, "not armed"),
        (ticking(), Lapic(0x10040, 9, frozenset(), frozenset()), RUNNING, 0.5, "masked"),
        (ticking(), Lapic(65, 9, frozenset(), frozenset()), RUNNING, 0.5, "masked"),
        (ticking(), Lapic(64, 9, frozenset({64}), frozenset()), RUNNING, 0.5, "pending"),
        (ticking(), Lapic(64, 9, frozenset(), frozenset({64})), RUNNING, 0.5, "in service"),
        (ticking(), ARMED, Registers(1, 0x2, False), 0.5, "interrupts off"),
        (ticking(), ARMED, RUNNING, 0.9, "off phase"),
        (ticking(stage=Stage.CONTROL_WINDOW), ARMED, RUNNING, 0.5, "not ticking"),
    ],
)
def test_what_makes_a_save_no_evidence(
    state: GuestState, lapic: Lapic, registers: Registers, phase: float, reason: str
) -> None:
    assert reasons_against(state, lapic, registers, TimerMode.ONE_SHOT, phase) == (reason,)


def tick(sequence: int, tsc: int, spins: int, print_cycles: int = 0) -> Tick:
    return Tick(sequence, spins, tsc, print_cycles, sequence + 1)


def test_pace_allows_for_printing() -> None:
    """Half of each period is printing: the spins of a quiet period are twice those counted."""
    pace = Pace()
    for n in range(5):
        pace.observe(tick(n, n * 1000, 50), tick(n + 1, (n + 1) * 1000, 50, print_cycles=500))
    assert pace.known
    assert pace.spins_per_period == pytest.approx(100)
    assert pace.printing_periods == pytest.approx(0.5)


def test_pace_is_not_pulled_down_by_other_load() -> None:
    pace = Pace()
    for n in range(20):
        spins = 100 if n % 5 == 0 else 40
        pace.observe(tick(n, n * 1000, 0), tick(n + 1, (n + 1) * 1000, spins))
    assert pace.spins_per_period == pytest.approx(100)


def test_one_line_that_a_busy_host_held_up_moves_no_phase() -> None:
    pace = Pace()
    for n in range(9):
        pace.observe(tick(n, n * 1000, 0), tick(n + 1, (n + 1) * 1000, 90, print_cycles=100))
    pace.observe(tick(9, 9000, 0), tick(10, 10000, 40, print_cycles=600))
    assert pace.printing_periods == pytest.approx(0.1)


def test_pace_ignores_ticks_that_are_not_neighbours() -> None:
    pace = Pace()
    for n in range(5):
        pace.observe(tick(n, 0, 0), tick(n + 2, 1000, 50))
        pace.observe(tick(n, 1000, 0), tick(n + 1, 0, 50))  # the TSC went back
    assert not pace.known


def test_a_vector_that_was_accepted_and_vanished() -> None:
    finding = read_trace((GOLDEN / "trace-vanished.txt").read_text(), TICK_VECTOR)
    assert finding == TraceFinding(in_load=1, later=0)
    assert finding.sentence(TICK_VECTOR).endswith("it was accepted, and vanished.")


def test_a_trace_of_the_control() -> None:
    """Recorded: the swallowed interrupt has another vector, and the tick's is never accepted."""
    text = (GOLDEN / "trace-control-kvm-pvm.txt").read_text()
    assert read_trace(text, TICK_VECTOR) == TraceFinding(in_load=0, later=0)
    assert read_trace(text, 0x41) == TraceFinding(in_load=0, later=1)


def test_pressure_is_read_as_the_kernel_prints_it() -> None:
    text = "some avg10=12.50 avg60=3.00 avg300=1.00 total=42\nfull avg10=1.00 avg60=0 avg300=0\n"
    assert pressure.percent(text) == 12.5
    assert pressure.percent("") is None


@pytest.mark.parametrize(
    ("periods", "wall_periods", "outcome"),
    [
        (0.0, 0.4, Outcome.IMMEDIATE),  # QEMU took long to say that it goes on
        (0.0, 0.8, Outcome.INDISTINCT),
        (0.72, 0.9, Outcome.FULL_PERIOD),  # a quarter of it passed before it went on
        (0.4, 0.5, Outcome.FULL_PERIOD),  # not what remained: no kernel's LAPIC knows that
        (0.25, 0.3, Outcome.INDISTINCT),
        (0.95, 1.0, Outcome.FULL_PERIOD),
    ],
)
def test_a_period_that_began_with_the_load(
    periods: float, wall_periods: float, outcome: Outcome
) -> None:
    slow = WentOn(since_load=0.1, answering=0.2)
    assert classify(FirstTick(periods, wall_periods, 1.0), 0.5, slow) == (outcome, 0)
