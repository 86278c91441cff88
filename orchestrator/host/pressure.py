"""The kernel's pressure stall information (Documentation/accounting/psi.rst)."""

import re

FILE = "/proc/pressure/cpu"


def percent(text: str) -> float | None:
    """Return the percentage of the last 10 s in which a task waited for a CPU."""
    found = re.search(r"^some avg10=([\d.]+)", text)
    return float(found[1]) if found else None
