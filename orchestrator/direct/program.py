"""The program of the direct test, built from its source."""

from pathlib import Path

from orchestrator.cache.program import kept_program, shipped, static_program


def build(cache: Path | None = None) -> Path:
    """Build the program if needed, and return its path.

    Raises:
        NoToolsError: there is no C compiler.
        InfraError: the compiler failed.
    """
    return static_program(_source(), cache)


def is_built(cache: Path | None = None) -> bool:
    """Return whether the cache has the program."""
    return kept_program(_source(), cache) is not None


def _source() -> Path:
    return shipped("probe.c", "probe")
