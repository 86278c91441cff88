"""Choices that exist both in plans and on the command line."""

import enum


class AccelChoice(enum.StrEnum):
    """An accelerator, or `auto` for the one that works here."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


class Requirement(enum.StrEnum):
    """A property that the host must have, or the run is refused."""

    KVM = "kvm"
    APICV = "apicv"
