from pathlib import Path

import pytest

from orchestrator.packages.apt import PackagesError
from orchestrator.packages.trees import unpack


@pytest.mark.parametrize("suite", ["", "..", "a/b", "a,", "a b", "deb [trusted=yes]"])
def test_a_suite_is_a_name(cache: Path, suite: str) -> None:
    with pytest.raises(PackagesError, match="is no name of a suite"):
        unpack(suite, ["x"], cache)
