"""The error tree.

Three families, by who must act::

    LosttickError
    ├── InputError     the user gave something that can't be used (exit code 2)
    ├── UnfitError     this host can't do what was asked: becomes a skip (exit code 3)
    └── InfraError     the harness or its QEMU failed (exit code 4)

Leaves live beside the code that raises them. A verdict is data, never an
exception. Every message says what was being done, what was seen, and, where
there is something to do, what to do next.
"""


class LosttickError(Exception):
    """Root of every error that losttick raises on purpose."""


class InputError(LosttickError):
    """What the user gave can't be used."""


class UnfitError(LosttickError):
    """The host lacks something that the request needs."""


class InfraError(LosttickError):
    """The harness, or the QEMU under it, failed: nothing was learnt about the host."""
