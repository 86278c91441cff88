"""The program of the direct test, built from its source."""

from pathlib import Path

from orchestrator.cache.program import shipped, static_program


def build(cache: Path | None = None) -> Path:
    """Build the program if needed, and return its path.

    Raises:
        NoCompilerError: there is no C compiler.
        InfraError: the compiler failed.
    """
    return static_program(shipped("probe.c", "probe"), cache)
