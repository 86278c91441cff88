"""The answer rests on the emulator and on the kernel's own test, and on both for a yes."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.android.conclusion import (
    Answer,
    Conclusion,
    Emulator,
    Kernel,
    conclude,
    exit_code,
    of_emulator,
    of_kernel,
)
from orchestrator.android.findings import Findings, Freeze, Guest, Likeness, Load
from orchestrator.android.life import Watched
from orchestrator.android.words import sections
from orchestrator.bugs.exposure import Exposure, ExposureState
from orchestrator.bugs.jargon import jargon
from orchestrator.results.exit_code import GRAVITY, ExitCode
from orchestrator.results.report import read_report
from orchestrator.verdict.verdict import Verdict
from tests.support.made_reports import EXPOSED, HOSTILE, case, report
from tests.support.reports import commands, prose
from tests.support.run_folders import make_run_folder

#: The exit codes that errors can have.
ERROR_EXITS = (ExitCode.USAGE, ExitCode.UNFIT, ExitCode.HARNESS, ExitCode.INCONCLUSIVE)

SPARED = Exposure(ExposureState.NOT_EXPOSED, "an AMD host")
DOUBTFUL = Exposure(ExposureState.UNKNOWN, "nobody knows")

REPORTS = {
    Kernel.HAS_BUG: report(case("a", Verdict.AFFECTED, 3), case("b", Verdict.CLEAN)),
    Kernel.LACKS_BUG: report(case("a", Verdict.CLEAN, exposure=EXPOSED)),
    Kernel.SPARED: report(case("a", Verdict.CLEAN, exposure=SPARED)),
    Kernel.UNKNOWN: report(case("a", Verdict.CLEAN, exposure=DOUBTFUL)),
}


def findings(
    *guests: Guest, likeness: Likeness | None = None, timers: Sequence[str] = ("one-shot",)
) -> Findings:
    loads = [Load(n, guest, Watched(2, 1.0)) for n, guest in enumerate(guests, 1)]
    freeze = Freeze(likeness, "the grounds") if likeness else None
    return Findings("phone", True, tuple(timers), 3, tuple(loads), freeze, "2.12.0")


SEEN = {
    Emulator.UNTESTED: None,
    Emulator.RAN: findings(Guest.RAN, Guest.RAN),
    Emulator.HIDDEN: findings(Guest.RAN, timers=("tsc-deadline", "tsc-deadline")),
    Emulator.STOPPED: findings(Guest.STOPPED),
    Emulator.LIKE_THE_BUG: findings(Guest.RAN, Guest.FROZE, likeness=Likeness.BY_BUG),
    Emulator.OTHERWISE: findings(Guest.FROZE, likeness=Likeness.OTHERWISE),
    Emulator.FROZE: findings(Guest.FROZE, likeness=Likeness.UNKNOWN),
}


@pytest.mark.parametrize("kernel", Kernel)
def test_the_kernel(kernel: Kernel) -> None:
    assert of_kernel(REPORTS[kernel]) is kernel


@pytest.mark.parametrize("verdict", [Verdict.ANOMALOUS, Verdict.INCONCLUSIVE, Verdict.SKIPPED])
def test_no_other_verdict_tells_of_the_bug(verdict: Verdict) -> None:
    assert of_kernel(report(case("a", verdict))) is Kernel.UNKNOWN
    assert of_kernel(None) is Kernel.UNKNOWN


@pytest.mark.parametrize("emulator", Emulator)
def test_the_emulator(emulator: Emulator) -> None:
    assert of_emulator(SEEN[emulator]) is emulator


def test_one_vcpu_with_a_timer_that_the_bug_strikes_is_enough() -> None:
    assert of_emulator(findings(Guest.RAN, timers=("tsc-deadline", "one-shot"))) is Emulator.RAN
    assert of_emulator(findings(Guest.RAN, timers=())) is Emulator.RAN


def test_silence_on_living_processors_is_not_the_bug() -> None:
    seen = findings(Guest.FROZE, likeness=Likeness.ALIVE)
    assert conclude(seen, REPORTS[Kernel.HAS_BUG]).answer is Answer.NO


@pytest.mark.parametrize(
    ("emulator", "kernel", "answer"),
    [
        (Emulator.LIKE_THE_BUG, Kernel.HAS_BUG, Answer.YES),
        (Emulator.LIKE_THE_BUG, Kernel.UNKNOWN, Answer.LIKELY),
        (Emulator.LIKE_THE_BUG, Kernel.LACKS_BUG, Answer.NO),
        (Emulator.LIKE_THE_BUG, Kernel.SPARED, Answer.NO),
        (Emulator.FROZE, Kernel.HAS_BUG, Answer.LIKELY),
        (Emulator.FROZE, Kernel.UNKNOWN, Answer.UNKNOWN),
        (Emulator.FROZE, Kernel.LACKS_BUG, Answer.NO),
        (Emulator.OTHERWISE, Kernel.HAS_BUG, Answer.NO),
        (Emulator.STOPPED, Kernel.HAS_BUG, Answer.NO),
        (Emulator.RAN, Kernel.HAS_BUG, Answer.NOT_SEEN),
        (Emulator.HIDDEN, Kernel.LACKS_BUG, Answer.NOT_SEEN),
        (Emulator.UNTESTED, Kernel.HAS_BUG, Answer.UNKNOWN),
    ],
)
def test_the_answer(emulator: Emulator, kernel: Kernel, answer: Answer) -> None:
    assert conclude(SEEN[emulator], REPORTS[kernel]) == Conclusion(emulator, kernel, answer)


def test_only_both_together_make_a_yes() -> None:
    yes = [
        pair for pair in itertools.product(Emulator, Kernel)
        if conclude(SEEN[pair[0]], REPORTS[pair[1]]).answer is Answer.YES
    ]  # fmt: skip
    assert yes == [(Emulator.LIKE_THE_BUG, Kernel.HAS_BUG)]


def test_only_the_kernel_s_own_test_ends_with_1(tmp_path: Path) -> None:
    for name, affected in (("affected", True), ("clean", False)):
        made = read_report(make_run_folder(name, tmp_path / name))
        for seen in SEEN.values():
            code = exit_code(conclude(seen, made), made)
            assert (code is ExitCode.AFFECTED) is affected
    for seen in SEEN.values():
        assert exit_code(conclude(seen, None), None) is not ExitCode.AFFECTED


def test_an_emulator_that_froze_is_anomalous_and_one_that_failed_is_told() -> None:
    def code(emulator: Emulator, *failed: ExitCode) -> ExitCode:
        return exit_code(conclude(SEEN[emulator], None), None, failed)

    assert code(Emulator.FROZE) is ExitCode.ANOMALOUS
    assert code(Emulator.RAN) is ExitCode.CLEAN
    assert code(Emulator.UNTESTED, ExitCode.UNFIT) is ExitCode.UNFIT
    assert code(Emulator.UNTESTED, ExitCode.HARNESS) is ExitCode.HARNESS


@pytest.mark.parametrize("failed", list(itertools.product(ERROR_EXITS, repeat=2)))
def test_whatever_fails_in_both_parts_has_an_exit_code(failed: tuple[ExitCode, ExitCode]) -> None:
    codes = {kind: exit_code(conclude(SEEN[kind], None), None, failed) for kind in Emulator}
    assert codes[Emulator.FROZE] is ExitCode.ANOMALOUS, "a finding outweighs each failure"
    order = (ExitCode.USAGE, *GRAVITY)
    assert codes[Emulator.UNTESTED] is min(failed, key=order.index)


@pytest.mark.parametrize("emulator", Emulator)
@pytest.mark.parametrize("kernel", [*Kernel, None])
def test_the_report_has_no_jargon_but_in_its_details(
    emulator: Emulator, kernel: Kernel | None
) -> None:
    seen, made = SEEN[emulator], REPORTS[kernel] if kernel else None
    told = sections(conclude(seen, made), seen, made, "my phone", ["It was busy."])
    plain = [each for each in told if not each.heading.startswith("Details")]
    assert jargon(prose(plain)) == []
    assert all(each.blocks for each in told)
    assert not any("NAME" in each for each in commands(told))
    named = [each for each in commands(told) if "-avd" in each]
    assert all("'my phone'" in each for each in named)


def test_what_helps_against_the_bug_and_what_hides_it() -> None:
    def helps(emulator: Emulator, kernel: Kernel) -> list[str]:
        seen, made = SEEN[emulator], REPORTS[kernel]
        return commands(sections(conclude(seen, made), seen, made, "phone"))

    mended = helps(Emulator.LIKE_THE_BUG, Kernel.HAS_BUG)
    for needed in (
        "emulator -avd phone -no-snapshot-load",
        "emulator -avd phone -no-snapshot",
        "sudo modprobe kvm_intel enable_apicv=0",
        "echo 'options kvm_intel enable_apicv=0' | sudo tee "
        "/etc/modprobe.d/losttick-kvm_intel.conf",
        "losttick android --avd phone",
    ):
        assert needed in mended
    assert not any("enable_apicv" in each for each in helps(Emulator.OTHERWISE, Kernel.LACKS_BUG))
    shown = "losttick android --avd phone --qemu-arg=-cpu --qemu-arg=android64,-tsc-deadline"
    assert shown in helps(Emulator.HIDDEN, Kernel.LACKS_BUG)
    assert shown not in helps(Emulator.RAN, Kernel.LACKS_BUG)


def test_text_of_others_stays_one_block() -> None:
    seen, made = SEEN[Emulator.RAN], REPORTS[Kernel.LACKS_BUG]
    told = sections(conclude(seen, made), seen, made, HOSTILE)
    assert len(told) == len(sections(conclude(seen, made), seen, made, "phone"))
