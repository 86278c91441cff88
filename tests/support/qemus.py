"""QEMUs of other Debian releases than this one's."""

from orchestrator.host.local import LocalHost
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.trees import unpack
from tests.support.needs import Need, lacking


def host_with_qemu(suite: str | None) -> LocalHost:
    """This machine with the QEMU of a Debian suite, or with its own."""
    if suite is None:
        return LocalHost()
    try:
        tree = unpack(suite, ["qemu-system-x86"])
    except PackagesError as error:
        lacking(Need.PACKAGES, f"the QEMU of Debian {suite}: {error}")
    binary, prefix = tree.command("usr/bin/qemu-system-x86_64")
    return LocalHost(binary, qemu_prefix=prefix)
