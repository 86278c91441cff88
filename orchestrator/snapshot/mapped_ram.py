"""Migration by `file:` with `mapped-ram` (QEMU 9.0 on): a page's place in the file is fixed."""

from orchestrator.snapshot.file import FileSnapshots


class MappedRamSnapshots(FileSnapshots):
    """Migration to a file of the RAM's own layout, sparse where pages are zero."""

    capabilities = ("mapped-ram",)
