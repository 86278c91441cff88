"""What the tests of this project share."""

import pytest

from orchestrator.pytest_plugin import Machine, Machines


@pytest.fixture
def machine(losttick_machine: Machines) -> Machine:
    """Give the virtual machine of these tests: under KVM where there is one, else under TCG."""
    return losttick_machine(period_ms=20)
