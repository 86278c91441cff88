"""Saves whose timer ran out between the stop and the save."""

from orchestrator.verdict.case import Case, Finding


def expired_note(case: Case, found: Finding) -> str | None:
    """Return how many saves were expired.

    The kernel's LAPIC keeps running while the guest is stopped. A load of an expired save
    restores a timer whose time is over, which is another case than a timer that runs.
    """
    if not case.expired_saves or not found.says_rates:
        return None
    expired, saves = case.expired_saves, case.saves
    if saves == 1:
        which = "The only save was"
    elif expired == saves:
        which = f"All {saves} saves were"
    else:
        which = f"{expired} of {saves} saves {'was' if expired == 1 else 'were'}"
    return f"{which} `expired`: the timer ran out between the stop and the save"
