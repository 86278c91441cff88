"""Two ways to read the guest's memory through QEMU's monitor."""

import re

from orchestrator.host.protocol import QemuProcess
from orchestrator.qmp.monitor import Monitor


class StoppedMemory:
    """Memory of a stopped VM, read by HMP's `xp`.

    `xp` synchronizes the vCPU's registers, which can change what a running guest does next.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    async def read(self, address: int, size: int) -> bytes:
        """Return `size` bytes from a guest-physical address; both are multiples of 4.

        Raises:
            MonitorError: QEMU failed to read.
            ValueError: what the monitor printed is not that many bytes.
        """
        text = await self._monitor.hmp(f"xp /{size // 4}xw {address:#x}")
        words = re.findall(r"0x([0-9a-f]{8})\b", text)
        data = b"".join(int(word, 16).to_bytes(4, "little") for word in words)
        if len(data) != size:
            raise ValueError(f"`xp` printed {len(data)} bytes, not {size}: {text[:200]!r}")
        return data


class RunningMemory:
    """Memory of a running VM, read by `pmemsave`, which leaves the vCPUs untouched."""

    def __init__(self, monitor: Monitor, process: QemuProcess) -> None:
        self._monitor = monitor
        self._process = process

    async def read(self, address: int, size: int) -> bytes:
        """Return `size` bytes from a guest-physical address.

        Raises:
            MonitorError: QEMU failed to read.
        """
        name = self._process.dump_file
        await self._monitor.execute("pmemsave", {"val": address, "size": size, "filename": name})
        return await self._process.read_file(name)
