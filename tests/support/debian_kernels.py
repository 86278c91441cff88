"""Kernels as Debian would name them, for tests that fetch none."""

from pathlib import Path

from orchestrator.lab.kernel.debian import Debian
from orchestrator.lab.kernel.kernel import Kernel

RELEASE = "9.1.0-1-cloud-amd64"


def of_debian(version: str) -> Kernel:
    return Kernel(Debian(version), version, RELEASE, Path("vmlinuz"), {})
