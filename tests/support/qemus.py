"""QEMUs of other Debian releases than this one's."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from orchestrator.host.local import LocalHost, open_host
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.trees import unpack
from tests.support.needs import Need, lacking


def host_with_qemu(
    suite: str | None, environment: Mapping[str, str] | None = None
) -> AbstractAsyncContextManager[LocalHost]:
    """This host with the QEMU of a Debian suite, or with its own."""
    if suite is None:
        return open_host(environment=environment)
    try:
        tree = unpack(suite, ["qemu-system-x86"])
    except PackagesError as error:
        lacking(Need.PACKAGES, f"the QEMU of Debian {suite}: {error}")
    binary, prefix = tree.command("usr/bin/qemu-system-x86_64")
    return open_host(binary, qemu_prefix=prefix, environment=environment)
