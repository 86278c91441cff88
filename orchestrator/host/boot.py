"""The boot of a host: Linux gives each boot a random name."""

from orchestrator.host.protocol import Host

#: See random(4).
FILE = "/proc/sys/kernel/random/boot_id"


async def boot_id(host: Host) -> str:
    """Return the name of the host's present boot; an empty text if it can't be read."""
    try:
        return (await host.read_file(FILE)).strip()
    except OSError:
        return ""
