"""Errors of QEMU's monitor, and what they show about the host."""

import pytest

from orchestrator.qmp.errors import CommandFailedError


@pytest.mark.parametrize(
    ("words", "transient"),
    [
        ("Error while writing VM state: No space left on device", True),
        ("Could not open 'vmstate': Too many open files", True),
        ("Device 'disk' does not support internal snapshots", False),
        ("Could not open 'vmstate': Permission denied", False),
    ],
)
def test_a_host_without_room_may_have_room_later(words: str, transient: bool) -> None:
    assert CommandFailedError("savevm", words).transient is transient
