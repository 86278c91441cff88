"""The options that choose kernels, and what they choose."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.lab.kernel.variants import Variant
from orchestrator.process.background import in_thread

if TYPE_CHECKING:
    from orchestrator.cli.live import Show
    from orchestrator.lab.arms import Choice


KernelNames = Annotated[
    list[str] | None,
    typer.Option(
        "--kernel",
        help="debian:SUITE (its newest), debian:VERSION, deb:FILE,... or tree:DIR. May be "
        "given more than once.",
        show_default="one kernel, with the bug's arms beside it",
    ),
]


Variants = Annotated[
    list[Variant] | None,
    typer.Option(
        "--variant",
        help="Edit of the kernel's KVM modules. May be given more than once.",
        show_default="untouched; without --kernel, the bug's arms",
    ),
]


Apicv = Annotated[bool, typer.Option(help="Load kvm_intel with enable_apicv.")]


Parallel = Annotated[
    int | None, typer.Option(min=1, max=64, help="Labs at a time.", show_default="one a core")
]


def labs_at_a_time(parallel: int | None) -> int:
    """Return how many labs run side by side."""
    return parallel or len(os.sched_getaffinity(0))


async def choose(
    kernels: list[str] | None, variants: list[Variant] | None, show: "Show", *, apicv: bool
) -> "list[Choice]":
    """Return the arms that are asked for; their kernels are fetched.

    Raises:
        KernelNameError, VariantError: they are named in a way that is not known.
        PackagesError: they can't be had.
    """
    from orchestrator.lab.arms import Choice, bug_and_fix
    from orchestrator.lab.kernel.names import default_kernel, kernel

    show.say("fetching kernels")
    if kernels is None and variants is None and apicv:
        return await in_thread(lambda: bug_and_fix(default_kernel()))
    fetched = [await in_thread(kernel, name) for name in dict.fromkeys(kernels or [])]
    return [
        Choice(each, variant, apicv)
        for each in fetched or [await in_thread(default_kernel)]
        for variant in dict.fromkeys(variants or [Variant.UNTOUCHED])
    ]
