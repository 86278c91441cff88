"""Real Debian kernels whose KVM modules were edited and built anew, by the direct test.

Timers are restored with TMCCT 0, as QEMU does. A cold cache is allowed: then the first
variant of each kernel takes about a minute, and fetches its source.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.direct.wanted import DirectTrials
from orchestrator.direct.witness import WITNESS
from orchestrator.errors import UnfitError
from orchestrator.findings.series import Series
from orchestrator.guest.lapic_mode import LapicMode
from orchestrator.lab.arms import Arm
from orchestrator.lab.direct import PROGRAM
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.boot import LabError
from orchestrator.lab.host.host import LabHost
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.lab.kernel.names import DEFAULT_VERSION, kernel
from orchestrator.lab.kernel.variants import (
    COUNTERS,
    EVERY,
    Variant,
    VariantError,
    has_wants_to_run,
    modified,
    modify,
)
from orchestrator.verdict.pattern import Pattern, read_pattern
from tests.support.labs import SharedLabs, fetched, shared_labs
from tests.support.needs import Need, lacking

pytestmark = pytest.mark.timeout(1200)

#: The probe's re-arm at half of the period must not expire inside KVM_SET_LAPIC, which takes
#: long on an emulated CPU.
WANTED = DirectTrials(trials=20, period_ns=4_000_000, tmccts_ns=(0,))

TRIALS = WANTED.trials

#: Suites whose kernels have the condition `wants_to_run`. The first suite's kernel is in parts,
#: too: from 6.19 on, Debian splits a kernel into packages.
NEWER = ("trixie-backports", "bookworm-security", "trixie-security", "forky")


def built(source: Kernel, variant: Variant, **options: Any) -> Kernel:
    try:
        return asyncio.run(modified(source, variant, **options))
    except UnfitError as error:
        lacking(Need.LAB, f"{variant} of {source.version}: {error}")


def with_wants_to_run() -> Kernel:
    reasons = []
    for suite in NEWER:
        try:
            found = kernel(f"debian:{suite}")
            if has_wants_to_run(found):
                return found
            reasons.append(f"{found.version} has it not")
        except UnfitError as error:
            reasons.append(str(error))
    return lacking(Need.OLD_KERNELS, f"one with wants_to_run: {'; '.join(reasons)}")


def an_arm(source: Kernel, variant: Variant, *, apicv: bool = True) -> Arm:
    return Arm(source, variant, apicv, every=4 if variant is Variant.PARTIAL else None)


@pytest.fixture(scope="module")
def default(emulator: Bochs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedLabs]:
    """The default kernel."""
    source = fetched()
    variants = [
        Variant.UNTOUCHED, Variant.REVERT_FIX, Variant.PARTIAL, Variant.DROP_TIMER,
        Variant.NEVER_START,
    ]  # fmt: skip
    arms = [an_arm(source, variant) for variant in variants]
    with shared_labs(emulator, arms, tmp_path_factory.mktemp("default")) as labs:
        yield labs


def probed(labs: SharedLabs, arm: Arm) -> Series:
    _, (series,) = labs.count(arm, WANTED)
    assert series.trials == TRIALS
    return series


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("variant", "apicv", "lost"),
    [
        (Variant.UNTOUCHED, True, 0),
        (Variant.REVERT_FIX, True, TRIALS),
        (Variant.REVERT_FIX, False, 0),
    ],
)
def test_the_default_kernel(default: SharedLabs, variant: Variant, apicv: bool, lost: int) -> None:
    """The usual suite has all three in one lab, in `test_modules_are_loaded_anew_for_each_arm`."""
    assert probed(default, an_arm(fetched(), variant, apicv=apicv)).lost == lost


@pytest.mark.parametrize(
    ("variant", "pattern"),
    [
        (Variant.UNTOUCHED, Pattern.NONE),
        (Variant.REVERT_FIX, Pattern.KNOWN_BUG),
        (Variant.NEVER_START, Pattern.ZERO_ALONE),
    ],
)
def test_the_pattern_of_losses_names_the_fault(
    default: SharedLabs, variant: Variant, pattern: Pattern
) -> None:
    _, series = default.count(an_arm(fetched(), variant), WITNESS)
    assert read_pattern(series) is pattern


@pytest.mark.parametrize("mode", [LapicMode.PERIODIC, LapicMode.TSC_DEADLINE])
def test_the_bug_takes_no_other_mode_of_the_timer(default: SharedLabs, mode: LapicMode) -> None:
    wanted = replace(WITNESS, trials=TRIALS, mode=mode)
    _, series = default.count(an_arm(fetched(), Variant.REVERT_FIX), wanted)
    assert read_pattern(series) is Pattern.NONE


def test_modules_are_loaded_anew_for_each_arm(default: SharedLabs) -> None:
    """Back and forth in one lab: each arm shows its own answer."""
    reverted, source = Variant.REVERT_FIX, fetched()
    for variant, apicv, lost in ((reverted, True, TRIALS), (Variant.UNTOUCHED, True, 0),
                                 (reverted, False, 0), (reverted, True, TRIALS)):  # fmt: skip
        assert probed(default, an_arm(source, variant, apicv=apicv)).lost == lost


def test_the_default_kernel_is_its_own_base() -> None:
    found = fetched()
    if found.version != DEFAULT_VERSION:
        lacking(Need.OLD_KERNELS, f"{DEFAULT_VERSION}: the mirror has {found.version} instead")
    assert not has_wants_to_run(found)
    with pytest.raises(VariantError, match="base and untouched are the same"):
        modify(found, Variant.BASE)


@pytest.fixture(scope="module")
def newer(
    emulator: Bochs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SharedLabs, Kernel]]:
    """A kernel with the condition `wants_to_run`."""
    source = with_wants_to_run()
    variants = [Variant.UNTOUCHED, Variant.BASE, Variant.REVERT_FIX]
    arms = [an_arm(source, variant) for variant in variants]
    with shared_labs(emulator, arms, tmp_path_factory.mktemp("newer")) as labs:
        yield labs, source


@pytest.mark.parametrize(
    ("variant", "pending", "lost"),
    [
        (Variant.UNTOUCHED, 0, 0),
        (Variant.BASE, TRIALS, 0),
        (Variant.REVERT_FIX, 0, TRIALS),
    ],
)
def test_a_kernel_that_hides_it_has_a_base(
    newer: tuple[SharedLabs, Kernel], variant: Variant, pending: int, lost: int
) -> None:
    """In its base the expiry is injected inside KVM_SET_LAPIC again, and lost without the fix.

    tests/lab/test_lab_run.py has the same through QEMU.
    """
    labs, source = newer
    series = probed(labs, an_arm(source, variant))
    assert (series.lost, series.pending) == (lost, pending)


@pytest.mark.thorough
def test_without_the_fix_there_is_nothing_to_revert() -> None:
    """It fetches a kernel's source; tests/unit/lab/kernel/test_variants.py has a made-up one."""
    oldest = fetched("debian:bullseye")
    with pytest.raises(VariantError, match="it is without the fix as it is"):
        built(oldest, Variant.REVERT_FIX)


@pytest.mark.parametrize("apicv", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_one_in_n_is_lost_and_counted(default: SharedLabs, apicv: bool) -> None:
    """N is 4 from the build; then 0 and 5 by the parameter, in the same lab."""
    parameters = "/sys/module/kvm/parameters"
    probe = f"/{PROGRAM} {' '.join(WANTED.arguments)} && "
    counts = f"echo COUNT $(cat {' '.join(f'{parameters}/{each}' for each in COUNTERS)})"
    job = "\n".join(
        f"{change}{probe}{counts}"
        for change in ("", *(f"echo {n} >{parameters}/{EVERY} && " for n in (0, 5)))
    )

    async def said(host: LabHost) -> list[str]:
        async with contextlib.aclosing(host.run(["/bin/busybox", "sh", "-c", job])) as lines:
            return [line async for line in lines]

    lines = default.use(an_arm(fetched(), Variant.PARTIAL, apicv=apicv), said)
    answers = [json.loads(line) for line in lines if line.startswith("{")]
    lost = [each["lost"] for each in answers if each.get("series") == "restore"]
    counted = [line.split()[1:] for line in lines if line.startswith("COUNT ")]
    assert lost == ([TRIALS // 4, 0, TRIALS // 5] if apicv else [0, 0, 0])
    # The probe's re-arms and its control, with TMCCT or without TMICT, do not count.
    assert [int(restores) for restores, _ in counted] == [TRIALS, 2 * TRIALS, 3 * TRIALS]
    so_far = [sum(lost[: n + 1]) for n in range(3)]
    assert [int(counted_lost) for _, counted_lost in counted] == so_far


def test_a_forgotten_timer_is_forgotten_at_each_restore(default: SharedLabs) -> None:
    """The probe's own re-arm is a restore, too: it gives up."""
    with pytest.raises(LabError, match="does not tick even when its timer is armed anew"):
        probed(default, an_arm(fetched(), Variant.DROP_TIMER))


def test_modules_are_built_once() -> None:
    source = fetched()
    first = built(source, Variant.REVERT_FIX)
    again = built(source, Variant.REVERT_FIX, progress=lambda done, total: pytest.fail("built"))
    assert again == first
    plain = replace(first, modules=source.modules, variant=source.variant, edits=())
    assert plain == source
    assert first.modules["irqbypass"] == source.modules["irqbypass"]
