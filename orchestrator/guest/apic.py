"""The two ways in which a guest reaches its LAPIC."""

import enum


class Apic(enum.StrEnum):
    """Access to the LAPIC: through the MMIO page (xAPIC) or through MSRs (x2APIC)."""

    XAPIC = "xapic"
    X2APIC = "x2apic"
