from pathlib import Path

from orchestrator.cache.workshop import workshop


def test_a_workshop_is_empty_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "place" / "work-of-one-that-was-killed").mkdir(parents=True)
    with workshop(tmp_path / "place") as work:
        assert list(work.iterdir()) == []
        assert sorted(tmp_path.rglob("*")) == [work.parent, work.parent / "lock", work]
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["lock"]
