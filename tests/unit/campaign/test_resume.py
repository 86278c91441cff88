from dataclasses import replace

import pytest

from orchestrator.campaign.resume import changed_facts, counted_elsewhere
from orchestrator.host.facts import HostFacts
from orchestrator.journal.counts import CellState
from orchestrator.plan.axes import Axes
from orchestrator.testing import FACTS
from orchestrator.vm.config import Accel

(CELL,) = Axes().cells(Accel.KVM)


@pytest.mark.parametrize(
    ("facts", "image", "elsewhere"),
    [
        (FACTS, "a", False),
        (replace(FACTS, cpus=2), "a", False),
        (replace(FACTS, microcode="0x2"), "a", True),
        (FACTS, "b", True),
    ],
)
def test_another_host_or_another_guest_image_is_elsewhere(
    facts: HostFacts, image: str, elsewhere: bool
) -> None:
    counted = CellState(CELL, facts=FACTS, image="a")
    assert counted_elsewhere(counted, facts, image) is elsewhere
    assert not counted_elsewhere(CellState(CELL), facts, image)


def test_another_qemu_that_loads_is_elsewhere() -> None:
    assert FACTS.qemu is not None
    counted = CellState(CELL, facts=FACTS, image="a", loader=FACTS.qemu)
    assert not counted_elsewhere(counted, FACTS, "a", FACTS.qemu)
    assert counted_elsewhere(counted, FACTS, "a", replace(FACTS.qemu, version="11.1.0"))
    assert counted_elsewhere(counted, FACTS, "a")


def test_a_changed_image_is_named() -> None:
    images = ({"tick": "a"}, {"tick": "b"})
    assert changed_facts(FACTS, FACTS, images) == {"guests": images}
