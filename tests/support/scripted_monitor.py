"""A monitor that answers as a test says, without a QEMU behind it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""},
                    "capabilities": []}}  # fmt: skip

#: Answers of a QEMU under KVM with one vCPU.
SOUND: dict[str, Any] = {
    "qmp_capabilities": {},
    "query-cpus-fast": [{"thread-id": 2**30, "qom-path": "/cpu"}],
    "query-kvm": {"enabled": True, "present": True},
    "query-version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""},
    "query-status": {"status": "running"},
    "query-stats": [],
    "human-monitor-command": "",
}


@contextlib.asynccontextmanager
async def peer(
    path: Path,
    answer: Callable[[str], object],
    greeting: bytes = json.dumps(GREETING).encode() + b"\r\n",
) -> AsyncIterator[str]:
    """Listen at a path, and give it; bytes are sent as they are, another answer as QMP has it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        with contextlib.suppress(OSError, ValueError):
            while line := await reader.read(65536):  # each command ends no line
                asked = json.loads(line)
                said = answer(asked["execute"])
                if isinstance(said, bytes):
                    writer.write(said)
                else:
                    own = {"id": asked["id"]} if "id" in asked else {}
                    writer.write(json.dumps({"return": said, **own}).encode() + b"\r\n")
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield str(path)
    finally:
        server.close()
