"""What tests need of the computer that they run on, and the gate that forbids to skip them.

A test that lacks something calls `lacking`, and is skipped. LOSTTICK_MUST_HAVE names what must
be there, separated by commas: for each `Need` in it, `lacking` fails the test. Once the variable
names anything, a skip by other means fails as well, so that no test can be lost unnoticed;
`not_applicable` is for a test that has nothing to check here, whatever were installed.
"""

import enum
import os
from collections.abc import Generator
from typing import NoReturn

import pytest

VARIABLE = "LOSTTICK_MUST_HAVE"


class Need(enum.StrEnum):
    """Something that a test cannot do without."""

    QEMU = "qemu"
    """A QEMU on PATH that runs the guest under TCG."""
    KVM = "kvm"
    """A KVM that runs the guest."""
    COMPILER = "compiler"
    """A C compiler."""
    BINUTILS = "binutils"
    """`as`, `objcopy` and `objdump`."""
    PACKAGES = "packages"
    """dpkg, apt, and a Debian mirror that answers."""
    LAB = "lab"
    """A lab: Bochs, a kernel and a QEMU for it, built or fetched."""
    OLD_KERNELS = "old-kernels"
    """Kernels of one exact version; a mirror drops them when newer ones come."""
    TRACEFS = "tracefs"
    """Root, and KVM's tracepoints in tracefs."""
    ROOT = "root"
    """Root, and setpriv, to be another user as well."""
    NAMESPACES = "namespaces"
    """A mount namespace of one's own."""
    RECIPES = "recipes"
    """The programs that check files for CI systems, such as shellcheck and tmt."""
    CHROMIUM = "chromium"
    """Debian's Chromium, for the pages of the HTML report."""
    MANUAL = "manual"
    """`man`, and `groff`, which man-db brings."""
    POSTGRESQL = "postgresql"
    """Debian's PostgreSQL server, and where root runs the tests, setpriv to be another user."""
    CGROUPS = "cgroups"
    """Root, and control groups that it can make."""
    LIBVIRT = "libvirt"
    """libvirt's daemon with its driver for QEMU, and virsh."""
    SLURM = "slurm"
    """Root, Slurm's daemons and commands, and munge."""
    SSHD = "sshd"
    """OpenSSH's server, client and agent."""


class Lacking(pytest.skip.Exception):
    """Something that the test needs is not there."""


class NotApplicable(pytest.skip.Exception):
    """There is nothing to check on this computer."""


def must_have() -> frozenset[Need]:
    """Return what LOSTTICK_MUST_HAVE names.

    Raises:
        pytest.UsageError: it names something that is no need.
    """
    words = [word.strip() for word in os.environ.get(VARIABLE, "").split(",")]
    try:
        return frozenset(Need(word) for word in words if word)
    except ValueError as error:
        known = ", ".join(Need)
        raise pytest.UsageError(f"{VARIABLE}: {error}; known are: {known}") from None


def lacking(need: Need, why: str) -> NoReturn:
    """Skip the test, or fail it where the need must be met."""
    if need in must_have():
        pytest.fail(f"{need} must be there ({VARIABLE}), but is lacking: {why}", pytrace=False)
    raise Lacking(f"needs {need}: {why}")


def not_applicable(why: str) -> NoReturn:
    """Skip the test because it has nothing to check here."""
    raise NotApplicable(why)


def pytest_configure() -> None:
    """Refuse a variable that names something unknown."""
    must_have()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: "pytest.CallInfo[None]",
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip that names no need into a failure, behind the gate."""
    report = yield
    known = (Lacking, NotApplicable)
    skipped = call.excinfo is not None and call.excinfo.errisinstance(pytest.skip.Exception)
    if skipped and must_have() and not call.excinfo.errisinstance(known):
        report.outcome = "failed"
        report.longrepr = (
            f"{call.excinfo.value}: skipped without a named need, which {VARIABLE} forbids; "
            "call lacking() or not_applicable() of tests.support.needs"
        )
    return report
