"""Real Debian kernels whose KVM modules were edited and built anew, by the direct test.

Timers are restored with TMCCT 0, as QEMU does. A cold cache is allowed: then the first
variant of each kernel takes about a minute, and fetches its source.
"""

import asyncio
import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.direct.program import build
from orchestrator.direct.run import probe_arguments
from orchestrator.errors import UnfitError
from orchestrator.findings.series import Series
from orchestrator.lab.direct import probe_in_lab
from orchestrator.lab.emulator.bochs import Bochs, debian_bochs
from orchestrator.lab.emulator.boot import Lab, LabError
from orchestrator.lab.emulator.media import boot_cd, initrd
from orchestrator.lab.host.image import lab_files
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.lab.kernel.names import DEFAULT_VERSION, default_kernel, kernel
from orchestrator.lab.kernel.variants import (
    COUNTERS,
    EVERY,
    Variant,
    VariantError,
    has_wants_to_run,
    modified,
    modify,
)
from orchestrator.testing import FACTS
from tests.support.needs import Need, lacking

pytestmark = pytest.mark.timeout(1200)

TRIALS = 20

#: The probe's re-arm at half of it must not expire inside KVM_SET_LAPIC, which takes long
#: on an emulated CPU.
PERIOD_NS = 4_000_000

#: Suites whose kernels have the condition `wants_to_run`. The first one's is in parts, too:
#: from 6.19 on, Debian splits a kernel into packages.
NEWER = ("trixie-backports", "bookworm-security", "trixie-security", "forky")


def fetched(name: str | None = None) -> Kernel:
    try:
        return kernel(name) if name else default_kernel()
    except UnfitError as error:
        lacking(Need.LAB, f"{name or 'a kernel'}: {error}")


def built(source: Kernel, variant: Variant, **options: Any) -> Kernel:
    try:
        return asyncio.run(modified(source, variant, **options))
    except UnfitError as error:
        lacking(Need.LAB, f"{variant} of {source.version}: {error}")


@pytest.fixture(scope="module")
def newer() -> Kernel:
    """A kernel with the condition `wants_to_run`."""
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


def probed(emulator: Bochs, tested: Kernel, *, apicv: bool = True) -> Series:
    """Run the probe; its control must be lost."""
    found = asyncio.run(probe_in_lab(emulator, tested, FACTS, TRIALS, PERIOD_NS, (0,), apicv=apicv))
    assert found.facts.kernel == tested.release
    assert found.facts.kvm_modules["kvm_intel"]["enable_apicv"] == "NY"[apicv]
    assert found.result.control.lost == found.result.control.trials
    (series,) = found.result.series
    assert series.trials == TRIALS
    return series


@pytest.mark.parametrize(
    ("variant", "apicv", "lost"),
    [
        (Variant.UNTOUCHED, True, 0),
        (Variant.REVERT_FIX, True, TRIALS),
        (Variant.REVERT_FIX, False, 0),
    ],
)
def test_the_default_kernel(emulator: Bochs, variant: Variant, apicv: bool, lost: int) -> None:
    tested = built(fetched(), variant)
    assert probed(emulator, tested, apicv=apicv).lost == lost


def test_the_default_kernel_is_its_own_base() -> None:
    found = fetched()
    if found.version != DEFAULT_VERSION:
        lacking(Need.OLD_KERNELS, f"{DEFAULT_VERSION}: the mirror has {found.version} instead")
    assert not has_wants_to_run(found)
    with pytest.raises(VariantError, match="base and untouched are the same"):
        modify(found, Variant.BASE)


@pytest.mark.parametrize(("variant", "pending"), [(Variant.UNTOUCHED, 0), (Variant.BASE, TRIALS)])
def test_a_kernel_that_hides_it(
    emulator: Bochs, newer: Kernel, variant: Variant, pending: int
) -> None:
    """In its base the expiry is injected inside KVM_SET_LAPIC again; neither loses it.

    tests/lab/test_lab_run.py has what becomes of it where the fix is reverted.
    """
    series = probed(emulator, built(newer, variant))
    assert (series.lost, series.pending) == (0, pending)


def test_without_the_fix_there_is_nothing_to_revert() -> None:
    oldest = fetched("debian:bullseye")
    with pytest.raises(VariantError, match="it is without the fix as it is"):
        built(oldest, Variant.REVERT_FIX)


async def said(emulator: Bochs, tested: Kernel, job: str, *, apicv: bool) -> list[str]:
    """Boot a lab that runs a script; return its lines."""
    files = lab_files(tested, "/bin/job", apicv=apicv)
    files |= {"bin/probe": build().read_bytes(), "bin/job": f"#!/bin/sh\n{job}".encode()}
    lab = Lab(emulator, boot_cd(tested.image, initrd(files)))
    async with contextlib.aclosing(lab.lines()) as lines:
        return [line async for line in lines]


@pytest.mark.parametrize("apicv", [True, False])
def test_one_in_n_is_lost_and_counted(emulator: Bochs, apicv: bool) -> None:
    """N is 4 from the build; then 0 and 5 by the parameter, in the same lab."""
    parameters = "/sys/module/kvm/parameters"
    probe = f"/bin/probe {' '.join(probe_arguments(TRIALS, PERIOD_NS, (0,)))} && "
    counts = f"echo COUNT $(cat {' '.join(f'{parameters}/{each}' for each in COUNTERS)})"
    job = "\n".join(
        f"{change}{probe}{counts}"
        for change in ("", *(f"echo {n} >{parameters}/{EVERY} && " for n in (0, 5)))
    )
    tested = built(fetched(), Variant.PARTIAL, every=4)
    lines = asyncio.run(said(emulator, tested, job, apicv=apicv))
    answers = [json.loads(line) for line in lines if line.startswith("{")]
    lost = [each["lost"] for each in answers if each.get("series") == "restore"]
    counted = [line.split()[1:] for line in lines if line.startswith("COUNT ")]
    assert lost == ([TRIALS // 4, 0, TRIALS // 5] if apicv else [0, 0, 0])
    # The probe's re-arms and its control, with TMCCT or without TMICT, do not count.
    assert [int(restores) for restores, _ in counted] == [TRIALS, 2 * TRIALS, 3 * TRIALS]
    so_far = [sum(lost[: n + 1]) for n in range(3)]
    assert [int(counted_lost) for _, counted_lost in counted] == so_far


def test_a_forgotten_timer_is_forgotten_at_each_restore(emulator: Bochs) -> None:
    """The probe's own re-arm is a restore, too: it gives up."""
    tested = built(fetched(), Variant.DROP_TIMER)
    with pytest.raises(LabError, match="does not tick even when its timer is armed anew"):
        probed(emulator, tested)


@pytest.mark.parametrize(
    ("variant", "lost"), [(Variant.UNTOUCHED, 0), (Variant.REVERT_FIX, TRIALS)]
)
def test_realigned_modules_run_on_debians_own_emulator(variant: Variant, lost: int) -> None:
    try:
        packaged = debian_bochs()
    except UnfitError as error:
        lacking(Need.LAB, f"Debian's Bochs: {error}")
    tested = built(fetched(), variant, realigned=True)
    assert tested.variant == f"{variant}, realigned"
    assert probed(packaged, tested).lost == lost


def test_modules_are_built_once(emulator: Bochs) -> None:
    source = fetched()
    first = built(source, Variant.REVERT_FIX)
    again = built(source, Variant.REVERT_FIX, progress=lambda done, total: pytest.fail("built"))
    assert again == first
    assert replace(first, modules=source.modules, variant=source.variant) == source
    assert first.modules["irqbypass"] == source.modules["irqbypass"]
