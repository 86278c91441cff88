"""Cells of plans that tests write."""

from orchestrator.plan.load import build_plan
from orchestrator.vm.config import Accel


def ids(data: dict[str, object], auto: Accel = Accel.KVM) -> list[str]:
    return [cell.id for cell in build_plan(data, "test").cells(auto)]
