"""What several folders of unit tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cache.store import let_go


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """losttick's cache folder, of our own; what was used in it is let go afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield tmp_path / "losttick"
    let_go()
