"""Takes a copy of everything that a console says."""

from typing import Protocol


class Tee(Protocol):
    """A file, or something that is written to like one."""

    def write(self, data: bytes, /) -> object:
        """Append bytes.

        Raises:
            OSError: they can't be written.
        """
        ...

    def close(self) -> None:
        """Close it.

        Raises:
            OSError: what was written last can't be kept.
        """
        ...
