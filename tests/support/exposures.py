"""Hosts that can show the known bug, and hosts that cannot."""

from orchestrator.bugs.exposure import Exposure, ExposureState

EXPOSED = Exposure(ExposureState.EXPOSED, "kvm_intel runs with enable_apicv=Y")

NOT_EXPOSED = Exposure(ExposureState.NOT_EXPOSED, "no APICv")
