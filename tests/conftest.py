"""What holds for all tests."""

import hypothesis

from tests.support.foreign_user import other_user
from tests.support.needs import pytest_configure, pytest_runtest_makereport
from tests.support.scheduling import pytest_xdist_make_scheduler
from tests.support.small_disk import small_disk

__all__ = [
    "other_user",
    "pytest_configure",
    "pytest_runtest_makereport",
    "pytest_xdist_make_scheduler",
    "small_disk",
]

# Hypothesis fails an example that takes longer than 200 ms. On a busy computer any example can:
# that says nothing of the code. A test that hangs is ended by pytest-timeout. The fuzzers have
# numbers of examples of their own, tests/support/fuzz.py.
hypothesis.settings.register_profile("losttick", deadline=None, max_examples=40)
hypothesis.settings.load_profile("losttick")
