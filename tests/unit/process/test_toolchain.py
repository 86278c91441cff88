"""The tools that build what runs in a lab: one list, wherever it is said."""

import os
from pathlib import Path

import pytest

from orchestrator.process.toolchain import (
    BUILD_TOOLS,
    NoToolsError,
    missing_tools,
    need_tools,
    packages,
)

ROOT = Path(__file__).parents[3]


def fake_tools(place: Path, libc: str) -> None:
    """Put every program of the list into a folder; the C library is where `libc` says."""
    for tool in BUILD_TOOLS:
        program = place / tool.name
        program.write_text(f"#!/bin/sh\necho {libc}\n")
        program.chmod(0o755)


@pytest.mark.parametrize("missing", [tool.name for tool in BUILD_TOOLS])
def test_each_tool_is_missed_and_all_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    fake_tools(tmp_path, "libc.a" if missing == "libc.a" else "/usr/lib/libc.a")
    (tmp_path / missing).unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoToolsError) as caught:
        need_tools("making a lab")
    names = "gcc, libc.a" if missing == "gcc" else missing  # which only the compiler finds
    assert str(caught.value) == (
        f"making a lab: not installed: {names}. As root, run: "
        "apt-get update && apt-get install binutils g++ gcc libc6-dev make tar xz-utils"
    )


def test_nothing_is_missed_where_all_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tools(tmp_path, "/usr/lib/libc.a")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert missing_tools() == []


@pytest.mark.parametrize("page", ["README.md", "docs/lab.md"])
def test_the_pages_name_the_same_packages(page: str) -> None:
    text = " ".join((ROOT / page).read_text().split())
    *first, last = (f"`{package}`" for package in packages())
    assert f"packages {', '.join(first)} and {last}" in text
