"""The options that choose kernels, their edits, and how many labs run at a time."""

import os
from typing import Annotated

import typer

from orchestrator.lab.kernel.variants import Variant

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
