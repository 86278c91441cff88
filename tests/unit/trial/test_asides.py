"""Which testimonies show an NMI that nobody had sent."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.findings.save import VcpuSave
from orchestrator.guest import lines
from orchestrator.guest.protocol import Question
from orchestrator.guest.state import Stage
from orchestrator.timers.first_tick import ResumeTiming
from orchestrator.trial.asides import Asides
from orchestrator.trial.resume import Resumed

SAVED = VcpuSave(
    vcpu=0, phase=0.5, progress=500, progress_per_period=1000.0, ticks=7, arms=8, lvtt=0x40,
    tmict=1, irr=(), isr=(), interrupt_flag=True, printing=False, stage=Stage.TICKING,
)  # fmt: skip

SAID = lines.Testimony(
    number=1, lvtt=0x40, tmict=1, tmcct=0, irr=0, isr=0, ppr=0, tpr=0, deadline=0,
    progress=10, ticks=7, arms=8, flags=0x246, cs=0xF000, ip=0x34,
)  # fmt: skip

STOPPED = Resumed(0, ResumeTiming(), 0, 0)

RUNNING = replace(STOPPED, lines_may_be_stale=True)

NMIS = (Question("NMI 1"), Question("NMI 2"))


def nmis(
    said: lines.Testimony,
    *,
    resumed: Resumed = STOPPED,
    ticked: bool = False,
    questions: tuple[Question, ...] = NMIS,
    sent: int = 0,
) -> int:
    program = SimpleNamespace(questions=questions)
    instance: Any = SimpleNamespace(config=SimpleNamespace(program=program), nmis=sent)
    asides = Asides(instance, SAVED, resumed)
    asides.note([said], SAVED.ticks + 2 * ticked, ticked=ticked)
    return asides.nmis


def test_a_testimony_that_nobody_asked_for() -> None:
    assert nmis(SAID) == 1
    assert nmis(replace(SAID, ticks=8)) == 1  # the tick's line waits to be printed
    assert nmis(SAID, resumed=RUNNING) == 1


@pytest.mark.parametrize("resumed", [STOPPED, RUNNING])
def test_an_answer_to_losttick_s_own_nmi_may_be_late(resumed: Resumed) -> None:
    assert nmis(SAID, resumed=resumed, sent=1) == 0


def test_a_line_may_be_from_before_a_load_into_a_running_guest() -> None:
    assert nmis(replace(SAID, ticks=9), resumed=RUNNING) == 0
    assert nmis(replace(SAID, ticks=9), resumed=RUNNING, ticked=True) == 1


def test_a_kernel_has_nmis_of_its_own() -> None:
    assert nmis(replace(SAID, kernel=lines.KernelTimer(1, 2, 3))) == 0


@pytest.mark.parametrize("questions", [(), (Question("word", nmi=False),)])
def test_a_guest_may_testify_without_an_nmi(questions: tuple[Question, ...]) -> None:
    assert nmis(SAID, questions=questions) == 0


@pytest.mark.parametrize("ticks", [0, 6, 9])
def test_a_line_that_counts_other_ticks_than_the_guest_accuses_nobody(ticks: int) -> None:
    assert nmis(replace(SAID, ticks=ticks)) == 0
