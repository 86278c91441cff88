"""The examples in the docstrings of `orchestrator.testing` hold."""

import doctest
from types import ModuleType

import pytest

from orchestrator import testing
from orchestrator.testing import virtual_time


@pytest.mark.parametrize(("module", "statements"), [(testing, 8), (virtual_time, 3)])
def test_examples(module: ModuleType, statements: int) -> None:
    results = doctest.testmod(module)
    assert (results.failed, results.attempted) == (0, statements)
