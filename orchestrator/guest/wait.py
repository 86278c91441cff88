"""The two ways in which a guest can wait for its next tick."""

import enum


class Wait(enum.StrEnum):
    """A guest's way to wait for a tick."""

    BUSY = "busy"
    """It runs a loop, so that its vCPU never sleeps."""
    HALT = "halt"
    """It executes `sti; hlt`, so that its vCPU sleeps until an interrupt comes."""
