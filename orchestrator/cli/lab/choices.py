"""The options that choose kernels, their edits, and how many labs run at a time."""

import os
from typing import Annotated

import typer

from orchestrator.cli.whole import Whole
from orchestrator.lab.kernel.variants import Variant

KernelNames = Annotated[
    list[str] | None,
    typer.Option(
        "--kernel",
        help="debian:SUITE (its newest kernel), debian:VERSION, deb:FILE,..., tree:DIR (built by "
        "you) or git:DIR@COMMIT (built by losttick), with a name of your own before it if you "
        "like: NAME=tree:DIR. May be given more than once.",
        show_default="one kernel, beside arms with and without the bug",
    ),
]


Variants = Annotated[
    list[Variant] | None,
    typer.Option(
        "--variant",
        help="Edit of the kernel's KVM modules. May be given more than once.",
        show_default="untouched; without --kernel, arms with and without the bug",
    ),
]


Apicv = Annotated[bool, typer.Option(help="Load kvm_intel with APICv on or off.")]


Parallel = Annotated[
    int | None,
    typer.Option(
        parser=Whole(1, 64), help="Labs that run at a time.", show_default="one for each core"
    ),
]


def labs_at_a_time(parallel: int | None) -> int:
    """Return how many labs run side by side."""
    return parallel or len(os.sched_getaffinity(0))
