"""Tables of named things from which the axes of a plan take their values."""

import contextlib
import reprlib
from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from orchestrator.errors import InputError

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80


class Named(Protocol):
    """Anything with a name that a plan can give."""

    @property
    def name(self) -> str:
        """The name, as plans, cell ids and the command line have it."""
        ...


N = TypeVar("N", bound=Named)


class UnknownNameError(InputError, ValueError):
    """No entry of the table has this name."""

    def __init__(self, kind: str, name: object, known: Sequence[str]) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        super().__init__(f"there is no {kind} {_short.repr(name)}. Known: {', '.join(known)}")


class Registry(Generic[N]):
    """A table of entries by name, in the order in which they were added."""

    def __init__(self, kind: str, entries: Sequence[N]) -> None:
        """Fill the table.

        Args:
            kind: what an entry is, for error messages, such as `timer`.
            entries: the entries that losttick ships; the first is the default.
        """
        self.kind = kind
        self._entries: dict[str, N] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: N) -> None:
        """Add an entry.

        Raises:
            ValueError: the table has an entry of this name.
        """
        if entry.name in self._entries:
            raise ValueError(f"there is a {self.kind} named {entry.name!r} already")
        self._entries[entry.name] = entry

    def remove(self, name: str) -> None:
        """Remove an entry."""
        del self._entries[name]

    @contextlib.contextmanager
    def added(self, entry: N) -> Iterator[N]:
        """Add an entry for as long as the context lasts."""
        self.add(entry)
        try:
            yield entry
        finally:
            self.remove(entry.name)

    def __getitem__(self, name: str) -> N:
        """Return the entry of this name.

        Raises:
            UnknownNameError: there is none; the error lists the known names.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(self.kind, name, self.names) from None

    def __iter__(self) -> Iterator[N]:
        return iter(tuple(self._entries.values()))

    @property
    def names(self) -> list[str]:
        """The names of all entries."""
        return list(self._entries)
