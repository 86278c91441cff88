"""The words that a plan and the command line share."""

import enum


class AccelChoice(enum.StrEnum):
    """An accelerator, or whichever works here."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


class Requirement(enum.StrEnum):
    """What a host must have for a run to be worth anything to its user."""

    APICV = "apicv"
