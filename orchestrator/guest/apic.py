"""How a guest reaches its LAPIC."""

import enum


class Apic(enum.StrEnum):
    """How the guest reaches its LAPIC: the MMIO page or MSRs."""

    XAPIC = "xapic"
    X2APIC = "x2apic"
