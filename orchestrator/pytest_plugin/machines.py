"""Virtual machines whose guest ticks, which end with the test that started them."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from orchestrator.errors import LosttickError
from orchestrator.guest.config import DEFAULT_TIMER, GuestConfig
from orchestrator.guest.lines import Tick
from orchestrator.guest.state import GuestState
from orchestrator.host.protocol import Host
from orchestrator.journal.console_log import ConsoleLog
from orchestrator.journal.out_folder import OutFolder
from orchestrator.pytest_plugin.case import Case
from orchestrator.pytest_plugin.loop_thread import LoopThread
from orchestrator.snapshot.method import Method
from orchestrator.snapshot.state import load_state, save_state
from orchestrator.timers.registry import TIMERS
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.instance import NEXT_TICK_NS, Instance
from orchestrator.vm.launch import launch

T = TypeVar("T")

#: Period of the guest's timer, in milliseconds, unless the test names another.
PERIOD_MS = 10.0


class Machine:
    """A QEMU with a guest that ticks. Made by `Machines`; it ends with the test."""

    def __init__(self, instance: Instance, loop: LoopThread) -> None:
        self.instance = instance
        """The instance, for `run`: its coroutines belong to the plugin's loop."""
        self._loop = loop

    def run(self, work: Callable[[Instance], Coroutine[Any, Any, T]]) -> T:
        """Do anything else that an instance can, such as `run(lambda i: i.vcpu_cpu_ns())`."""
        return self._loop.run(work(self.instance))

    def next_tick(self, within_s: float = NEXT_TICK_NS / 1e9, vcpu: int = 0) -> Tick | None:
        """Wait for the guest's next tick, and return it; None if none came in time."""
        return self.run(lambda instance: instance.next_tick(round(within_s * 1e9), vcpu))

    def save(self, tag: str, method: Method | str = Method.HMP) -> None:
        """Stop the vCPUs and save the state under a name; see `save_state`."""
        self.run(lambda instance: save_state(instance, tag, method))

    def load(self, tag: str, method: Method | str = Method.HMP) -> None:
        """Stop the vCPUs and load a saved state; see `load_state`. `cont` lets them run."""
        self.run(lambda instance: load_state(instance, tag, method))

    def stop(self) -> None:
        """Stop the vCPUs."""
        self.run(lambda instance: instance.stop())

    def cont(self) -> None:
        """Let the vCPUs run."""
        self.run(lambda instance: instance.cont())

    def run_state(self) -> str:
        """Return QEMU's run state, such as `running`."""
        return self.run(lambda instance: instance.run_state())

    def guest_state(self, vcpu: int = 0) -> GuestState:
        """Return a vCPU's counters, read out of the guest's memory."""
        return self.run(lambda instance: instance.guest_state(vcpu))

    def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        """Run a QMP command, and return its value."""
        return self.run(lambda instance: instance.monitor.execute(command, arguments))

    def kill(self) -> None:
        """End QEMU before the test ends."""
        self.run(lambda instance: instance.kill())


class _Factory:
    """Starts machines, and ends them."""

    def __init__(self, case: Case, host: Host) -> None:
        self._case = case
        self._host = host
        self._running = contextlib.AsyncExitStack()

    async def _launch(self, config: InstanceConfig) -> Instance:
        """Start a machine. Its command line and its console go to the test's artefacts."""
        with OutFolder(self._case.folder("machine")) as folder:
            log = ConsoleLog(OutFolder(folder.path), "console.log", buffered=False)
            instance = await self._running.enter_async_context(launch(self._host, config, log))
            folder.write("qemu.txt", "\n".join(instance.facts.argv) + "\n")
        return instance

    def _config(
        self,
        config: InstanceConfig | None,
        accel: Accel | str | None,
        mode: str,
        period_ms: float,
        vcpus: int,
        args: Sequence[str],
        spawns: bool,
    ) -> InstanceConfig:
        """Return the configuration of a machine; skip the test if there is no accelerator.

        Raises:
            ValueError: there is no such accelerator or timer.
        """
        __tracebackhide__ = True
        if config is not None:
            self._case.session.accel(self._host, config.accel)
            return config
        chosen = self._case.session.accel(self._host, None if accel is None else Accel(accel))
        guest = GuestConfig(TIMERS[mode].name, period_ns=round(period_ms * 1e6), vcpus=vcpus)
        return InstanceConfig(chosen, guest, args=tuple(args), spawns=spawns)


class Machines(_Factory):
    """`losttick_machine(...)`, for tests that are no coroutines."""

    def __call__(
        self,
        config: InstanceConfig | None = None,
        *,
        accel: Accel | str | None = None,
        mode: str = DEFAULT_TIMER,
        period_ms: float = PERIOD_MS,
        vcpus: int = 1,
        args: Sequence[str] = (),
        spawns: bool = False,
    ) -> Machine:
        """Start a QEMU and wait until its guest is about to tick. It ends with the test.

        Args:
            config: the whole configuration; then the other arguments do not count.
            accel: what runs the guest; by default KVM if the host has it, else TCG.
            mode: the guest's timer.
            period_ms: its period.
            vcpus: number of vCPUs.
            args: further arguments for QEMU.
            spawns: whether QEMU may start other programs: `exec` and `incoming` save by a shell.

        Raises:
            ValueError: there is no such accelerator or timer.
            InfraError: QEMU or its guest did not start.
        """
        __tracebackhide__ = True
        whole = self._config(config, accel, mode, period_ms, vcpus, args, spawns)
        loop = self._case.session.loop
        try:
            return Machine(loop.run(self._launch(whole)), loop)
        except LosttickError as error:
            raise self._case.failed(error) from None

    def __enter__(self) -> "Machines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End every machine."""
        self._case.session.loop.run(self._running.aclose())


class AsyncMachines(_Factory):
    """`await losttick_async_machine(...)`, for tests that are coroutines."""

    async def __call__(
        self,
        config: InstanceConfig | None = None,
        *,
        accel: Accel | str | None = None,
        mode: str = DEFAULT_TIMER,
        period_ms: float = PERIOD_MS,
        vcpus: int = 1,
        args: Sequence[str] = (),
        spawns: bool = False,
    ) -> Instance:
        """Start a QEMU in the test's loop, as `Machines` does, and return its instance.

        Raises:
            RuntimeError: the test runs in another loop than the fixture.
            ValueError: there is no such accelerator or timer.
            InfraError: QEMU or its guest did not start.
        """
        __tracebackhide__ = True
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(
                "losttick_async_machine: the test runs in another event loop than its fixtures. "
                "Give pytest-asyncio the same scope for both, by the options "
                "asyncio_default_fixture_loop_scope and asyncio_default_test_loop_scope"
            )
        whole = self._config(config, accel, mode, period_ms, vcpus, args, spawns)
        try:
            return await self._launch(whole)
        except LosttickError as error:
            raise self._case.failed(error) from None

    async def __aenter__(self) -> "AsyncMachines":
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End every machine."""
        await self._running.aclose()
