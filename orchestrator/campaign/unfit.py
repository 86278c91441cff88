"""The reason to skip a cell that the host cannot run."""

from orchestrator.errors import Lack, UnfitError


class UnfitCellError(UnfitError):
    """The host can't do what a cell asks for."""

    def __init__(self, why: str, lacks: Lack | None) -> None:
        """Keep the reason.

        Args:
            why: in words.
            lacks: the axis whose value can't be had; None if it is not known.
        """
        self.lacks = lacks
        super().__init__(why)
