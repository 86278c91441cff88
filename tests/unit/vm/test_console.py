import asyncio
import socket

from orchestrator.clock import LocalClock
from orchestrator.guest.lines import Tick
from orchestrator.guest.tick.guest import TickFirmware
from orchestrator.guest.tick.lines import render
from orchestrator.vm.console import Console


def tick(vcpu: int, sequence: int) -> bytes:
    return render("T", sequence, 1, 0, 2, 3, sequence + 1, vcpu=vcpu)


async def test_each_vcpu_s_lines_come_in_their_order_from_one_port_and_from_many() -> None:
    for streams in (1, 2):
        pairs = [socket.socketpair() for _ in range(streams)]
        console = Console([ours for ours, _ in pairs], LocalClock(), TickFirmware())
        try:
            for vcpu, sequence in [(1, 1), (0, 1), (1, 2), (1, 3), (0, 2)]:
                pairs[vcpu % streams][1].send(tick(vcpu, sequence))
            heard = []
            for vcpu in (0, 1, 1, 0, 1):
                arrived = await console.next_line(1_000_000_000, vcpu)
                assert arrived is not None
                assert isinstance(arrived[0], Tick)
                heard.append((vcpu, arrived[0].sequence))
            assert heard == [(0, 1), (1, 1), (1, 2), (0, 2), (1, 3)]
            assert await console.next_line(10_000_000, 0) is None
            pairs[0][1].send(tick(0, 3) + tick(1, 4))
            await asyncio.sleep(0)
            console.drain()
            assert await console.next_line(10_000_000, 1) is None
        finally:
            await console.close()
            for pair in pairs:
                for stream in pair:
                    stream.close()
