"""Migration to `file:` with the capability `mapped-ram`, since QEMU 9.0."""

from orchestrator.snapshot.file import FileSnapshots


class MappedRamSnapshots(FileSnapshots):
    """Migration to a file in which each page has a fixed place; zero pages are holes."""

    capabilities = ("mapped-ram",)
