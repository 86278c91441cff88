import pytest

from orchestrator.qmp.hmp_answer import is_failure


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\r\n",
        "warning: host doesn't support requested feature: CPUID.01H:ECX.x2apic [bit 21]\r\n",
        "info: unrecognized clock\n",
        "warning: TSC frequency mismatch between VM (2592000 kHz) and host (2600000 kHz), and "
        "TSC scaling unavailable\r\nwarning: another\r\n",
        "warning: the state is old\r\nConsider saving it again.\r\n",
    ],
)
def test_warnings_are_no_failure(text: str) -> None:
    assert not is_failure(text)


@pytest.mark.parametrize(
    "text",
    [
        "Error: Snapshot 'save1' does not exist in one or more devices\r\n",
        "Device 'disk' does not have the requested snapshot 'save1'\n",  # before 4.0
        "warning: slow\r\nError: Error -22 while loading VM state\r\n",
        "Error -22 while loading VM state\r\nwarning: late\r\n",
        "unknown command: 'loadvm'\r\n",
    ],
)
def test_errors_are_failures_also_beside_warnings(text: str) -> None:
    assert is_failure(text)
