"""The error tree.

Three families, by who has to act::

    LosttickError
    ├── InputError     the user gave something that can't be used (exit code 2)
    ├── UnfitError     this host can't do what was asked: becomes a skip (exit code 3)
    └── InfraError     the harness or its QEMU failed (exit code 4)

Each concrete error is defined beside the code that raises it. A verdict is
data, never an exception. Every message says what was being done, what was
seen and, if there is something to do, what to do next.
"""


class LosttickError(Exception):
    """Root of every error that losttick raises on purpose."""


class InputError(LosttickError):
    """The user gave something that can't be used."""


class UnfitError(LosttickError):
    """The host lacks something that the request needs."""


class InfraError(LosttickError):
    """The harness or its QEMU failed, so nothing was learnt about the host."""
