"""The counters of a guest that ticks."""

from orchestrator.guest.state import GuestState, Stage


def ticking(**changes: object) -> GuestState:
    """Return the counters of a guest that has armed its timer after tick 9, with some changes."""
    fields: dict[str, object] = {
        "printing": False, "ticks": 9, "arms": 10, "progress": 500, "printed": 9,
        "stage": Stage.TICKING, "window_left": 0,
    }  # fmt: skip
    return GuestState(**{**fields, **changes})  # type: ignore[arg-type]  # each has its type
