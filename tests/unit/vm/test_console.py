import asyncio
import gc
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


async def test_a_wait_that_is_cancelled_loses_no_line_and_leaves_nothing_open() -> None:
    """Warnings are errors in the tests: a transport that is left open fails this one."""
    for steps in range(12):
        ours, theirs = socket.socketpair()
        console = Console([ours], LocalClock(), TickFirmware())
        with ours, theirs:
            waiting = asyncio.create_task(console.next_line(1_000_000_000))
            theirs.send(tick(0, 1) + tick(0, 2))
            for _ in range(steps):
                await asyncio.sleep(0)
            waiting.cancel()
            (heard,) = await asyncio.gather(waiting, return_exceptions=True)
            last = await console.next_line(1_000_000_000)
            assert last is not None
            assert isinstance(last[0], Tick)
            assert last[0].sequence == 1 + (not isinstance(heard, BaseException))
            closing = asyncio.create_task(console.close())
            await asyncio.sleep(0)
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
            await console.close()
            gc.collect()
