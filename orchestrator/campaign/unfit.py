"""The reason to skip a cell that the host cannot run."""

from orchestrator.errors import UnfitError


class UnfitCellError(UnfitError):
    """The host can't do what a cell asks for."""
