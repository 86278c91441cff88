"""Check that the host runs the kernel that somebody asked for."""

import os

from orchestrator.errors import InfraError


class OtherKernelError(InfraError):
    """A result would be that of another kernel than asked for."""


def check_kernel(expected: str | None) -> None:
    """Check that this computer runs a kernel.

    Args:
        expected: what `uname -r` must print; None if any kernel will do.

    Raises:
        OtherKernelError: it runs another one.
    """
    running = os.uname().release
    if expected not in (None, running):
        raise OtherKernelError(
            f"checking the kernel: this host runs {running}, and --expect-kernel asks for "
            f"{expected}. Nothing was run: its verdict would be that of another kernel. Boot "
            f"{expected}, and run again."
        )
