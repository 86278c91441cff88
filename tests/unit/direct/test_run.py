"""The answers of the direct test's program."""

from collections.abc import AsyncIterator

import pytest

from orchestrator.direct.run import ShortAnswerError, collect, program_arguments
from orchestrator.findings.series import Series

RESTORE = (
    '{"series": "restore", "tmcct_ns": 7, "trials": 100, "lost": 3, "pending": 0, '
    '"mean_ns": 12, "seconds": 0.5}\n'
)
CONTROL = RESTORE.replace("restore", "control")


async def lines(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


async def test_series_control_and_progress_are_read() -> None:
    done: list[int] = []
    words = ("BIOS says hello\n", '{"progress": 64}\n', RESTORE, CONTROL)
    found = await collect(lines(*words), 1, done.append)
    assert found.series == (Series(7, 100, 3, 0, 12, 0.5),)
    assert found.control.lost == 3
    assert done == [64]


async def test_a_program_that_ends_early_is_no_result() -> None:
    with pytest.raises(ShortAnswerError, match="it answered 1 of 3 series"):
        await collect(lines(RESTORE), 2, lambda done: None)


def test_the_control_comes_last() -> None:
    assert program_arguments(100, 2000, (0, 7)) == ["100", "2000", "0", "7", "--", "control", "5"]
