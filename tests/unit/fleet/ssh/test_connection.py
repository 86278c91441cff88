"""Hosts that end a connection."""

import asyncio
import socket
import struct

import pytest

from orchestrator.fleet.fleet_file import Host, Ssh
from orchestrator.fleet.ssh.address import Address
from orchestrator.fleet.ssh.connection import HostError, connect


async def test_a_host_that_resets_is_told_in_words() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        host = Host(name="h1", address="127.0.0.1", port=port)
        with pytest.raises(HostError) as caught:
            async with connect(Address(host, Ssh(), ())):
                pytest.fail("it connected")
    assert str(caught.value).endswith(": Connection reset by peer")
    assert caught.value.later
