"""Lets a timer that expires outside KVM_RUN be injected, as before `wants_to_run` was asked."""

import re

from kernel_source import LAPIC, PlaceError, code, edit, function


def drop(text: str) -> str:
    """Remove the condition from `apic_timer_expired()`."""
    body = function(text, "apic_timer_expired").body
    found = [*re.finditer(r"\s*&&\s*\w+->wants_to_run\b", code(text)[body.start : body.end])]
    if len(found) != 1:
        raise PlaceError(
            f"apic_timer_expired() has the condition wants_to_run {len(found)} times, not once"
        )
    start, end = (body.start + each for each in found[0].span())
    return text[:start] + text[end:]


if __name__ == "__main__":
    edit(LAPIC, drop)
