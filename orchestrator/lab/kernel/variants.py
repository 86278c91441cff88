"""Edits of a kernel's KVM modules whose effect is known. They prove what a lab can see."""

import enum
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from orchestrator.cache.program import shipped
from orchestrator.errors import InputError
from orchestrator.lab.kernel.kernel import Kernel, build_place
from orchestrator.lab.kernel.modules import build_modules, lapic_source
from orchestrator.process.background import in_thread, on_loop

#: Parameters of kvm.ko in the variant `partial`: the number of restores that mattered, and the
#: number of interrupts that were lost in them.
COUNTERS = ("losttick_restores", "losttick_lost")


#: The parameter N: one in N such restores loses its interrupt, none if N is 0. It can be given
#: at insmod and changed later.
EVERY = "losttick_every"


#: Bytes of kvm.ko that precede the initial value of that parameter.
_MARK = b"losttick_every:\0"


class VariantError(InputError):
    """The kernel does not have the requested variant."""


class Variant(enum.StrEnum):
    """An edit of a kernel's KVM modules."""

    UNTOUCHED = "untouched"
    BASE = "base"
    """Newer kernels leave an expiry outside KVM_RUN pending (`wants_to_run`), which hides the
    lost interrupt. The base is without that condition, so that only the fix prevents the
    loss."""
    REVERT_FIX = "revert-fix"
    """The base with the upstream fix reverted. With APICv, the interrupt of a one-shot timer
    that expires while it is restored is always lost."""
    PARTIAL = "partial"
    """The same in 1 of N such restores. The module counts them."""
    DROP_TIMER = "drop-timer"
    """The restored initial count is forgotten, which causes a hang that is not this bug ("timer
    not restored", TMICT 0)."""
    NEVER_START = "never-start"
    """A restored one-shot timer that would expire at once is never started. This leaves TMICT
    unchanged, TMCCT 0 and nothing pending, exactly as a lost interrupt does: only the kernel's
    trace and the direct test tell the two apart."""
    OTHER_VECTOR = "other-vector"
    """The first timer interrupt after a restore comes on the guest's other vector."""
    LATE_TICK = "late-tick"
    """The first tick of a one-shot timer comes 1.4 periods after a restore."""
    EARLY_TICK = "early-tick"
    """The first tick of a one-shot timer comes 0.25 periods after a restore."""
    THIRD_PERIOD = "third-period"
    """The first tick of a one-shot timer comes 3 periods after a restore."""
    IGNORE_LAPIC = "ignore-lapic"
    """`KVM_SET_LAPIC` has no effect."""
    DROP_DEADLINE = "drop-deadline"
    """A restored TSC deadline is dropped."""
    HALVE_PERIOD = "halve-period"
    """A restored periodic timer ticks twice as often."""
    DROP_THIRD_ARM = "drop-third-arm"
    """The third time that the guest arms its timer after a restore, nothing is started."""
    SKEW_TSC = "skew-tsc"
    """The TSC of the second vCPU goes 5 ms further ahead of the other ones at each restore."""


_EDITS = {
    Variant.UNTOUCHED: (),
    Variant.BASE: (),
    Variant.REVERT_FIX: ("revert_fix",),
    Variant.PARTIAL: ("partial_revert",),
    Variant.DROP_TIMER: ("drop_timer",),
    Variant.NEVER_START: ("never_start",),
    Variant.OTHER_VECTOR: ("other_vector",),
    Variant.LATE_TICK: ("late_tick",),
    Variant.EARLY_TICK: ("early_tick",),
    Variant.THIRD_PERIOD: ("third_period",),
    Variant.IGNORE_LAPIC: ("ignore_lapic",),
    Variant.DROP_DEADLINE: ("drop_deadline",),
    Variant.HALVE_PERIOD: ("halve_period",),
    Variant.DROP_THIRD_ARM: ("drop_third_arm",),
    Variant.SKEW_TSC: ("skew_tsc",),
}


#: Variants that begin with the base.
_ON_BASE = {Variant.BASE, Variant.REVERT_FIX, Variant.PARTIAL}


#: Variants that need a kernel with the fix.
_REVERTED = {Variant.REVERT_FIX, Variant.PARTIAL}


def has_wants_to_run(kernel: Kernel, cache: Path | None = None) -> bool:
    """Return whether a kernel has the condition that the variant `base` removes.

    If it does not, base and untouched are the same.

    Raises:
        NoKernelSourceError: the kernel came without its source.
        PackagesError: the source can't be had here.
    """
    build_place(kernel, cache)  # raises for a kernel without source
    return "wants_to_run" in lapic_source(kernel, cache)


def modify(
    kernel: Kernel,
    variant: Variant,
    *,
    every: int | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Kernel:
    """Return a kernel with rebuilt modules, or the kernel itself if nothing needs a build.

    The first build of a kernel takes about a minute and fetches the source. Each further variant
    takes seconds. Modules that were built before come from the cache.

    Args:
        kernel: the kernel as packaged.
        variant: the edit.
        every: N of the variant `partial`; 1 by default. The parameter `EVERY` overrides it.
        cache: where to keep the modules; losttick's cache folder by default.
        progress: called in this thread with the number of compiled files, and about how many
            there are.

    Raises:
        VariantError: the kernel has no such variant.
        NoKernelSourceError: the kernel came without its source.
        PackagesError, NoToolsError: source or tools can't be had here.
        EditError: an edit refused the source.
        ModuleBuildError: the build failed.
    """
    if every is not None and (variant is not Variant.PARTIAL or not 0 <= every < 2**32):
        raise VariantError(f"one loss in {every} restores: that is for {Variant.PARTIAL}, from 0")
    if variant is Variant.UNTOUCHED:
        return kernel
    build_place(kernel, cache)  # raises for a kernel without source
    if "kvm" not in kernel.modules or "kvm-intel" not in kernel.modules:
        raise VariantError(f"kernel {kernel.name}: KVM is built in, so that no module replaces it")
    source = lapic_source(kernel, cache)
    wants_to_run = "wants_to_run" in source
    if variant is Variant.BASE and not wants_to_run:
        raise VariantError(
            f"kernel {kernel.name} ({kernel.version}): apic_timer_expired() has no condition "
            f"wants_to_run to remove: {Variant.BASE} and {Variant.UNTOUCHED} are the same"
        )
    if variant in _REVERTED and "apicv_pre_state_restore" not in source:
        raise VariantError(
            f"kernel {kernel.name} ({kernel.version}): kvm_apic_set_state() has no "
            "apicv_pre_state_restore: it is without the fix as it is, nothing to revert"
        )
    names = (
        *(("drop_wants_to_run",) if variant in _ON_BASE and wants_to_run else ()),
        *_EDITS[variant],
    )
    edits = [shipped(f"edits/{name}.py") for name in names]
    built = build_modules(kernel, edits, cache, progress)
    if every is not None:
        built["kvm"] = _with_every(built["kvm"], every)
    modules = {**kernel.modules, **built}
    return replace(kernel, modules=modules, variant=str(variant), edits=names)


async def modified(
    kernel: Kernel,
    variant: Variant,
    *,
    every: int | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Kernel:
    """Do as `modify` in a thread, and end the build if cancelled; `progress` runs on the loop."""
    return await in_thread(
        modify, kernel, variant, every=every, cache=cache, progress=on_loop(progress)
    )


def _with_every(module: bytes, every: int) -> bytes:
    """Return kvm.ko with another initial value of `EVERY`: another N needs no other build."""
    before, mark, after = module.partition(_MARK)
    if not mark or _MARK in after:
        raise VariantError(f"kvm.ko has not one place for {EVERY}: it is not {Variant.PARTIAL}")
    return before + mark + every.to_bytes(4, "little") + after[4:]
