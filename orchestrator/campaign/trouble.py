"""Failures of one instance that do not end its cell."""

from orchestrator.host.errors import QemuStartError
from orchestrator.qmp.errors import MonitorError
from orchestrator.trial.aim import NoSaveError
from orchestrator.vm.launch import GuestStartError
from orchestrator.vm.starved import GuestStarvedError

#: The next instance may do better.
INSTANCE_TROUBLE = (NoSaveError, MonitorError, QemuStartError, GuestStartError, GuestStarvedError)
