"""Saves and loads the state of an instance by the name of a method, for callers' own tests."""

from orchestrator.host.errors import NotOwnedError
from orchestrator.snapshot.method import Method
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.snapshot.table import snapshots
from orchestrator.vm.instance import Instance, NeedsDiskError, NeedsSpawnError
from orchestrator.vm.sandbox import forbids_spawn


async def save_state(instance: Instance, tag: str, method: Method | str = Method.HMP) -> None:
    """Stop the vCPUs and save the state under a name.

    Args:
        instance: the instance to save. Its vCPUs stay stopped: `instance.cont()` lets them run.
        tag: the name of the state; letters, digits, `-` and `_`.
        method: how to save, such as `hmp`, `jobs` or `exec`.

    Raises:
        MethodMissingError: this QEMU lacks something that the method needs.
        NeedsDiskError: the method needs a disk, and the instance has none.
        NeedsSpawnError: the method starts programs, and the instance must not.
        NotOwnedError: the method loads into a new QEMU, and losttick did not start this one.
        MonitorError: QEMU did not save.
    """
    way = _way(instance, method)
    await instance.stop()
    await way.save(instance, tag)


async def load_state(instance: Instance, tag: str, method: Method | str = Method.HMP) -> None:
    """Stop the vCPUs and load a saved state, by the method with which it was saved.

    Everything that the console holds is thrown away, so that the next tick that is heard
    comes from the loaded state.

    Args:
        instance: the instance to load into. Its vCPUs stay stopped: `instance.cont()` lets
            them run. Some methods put a new QEMU in the place of the old one.
        tag: the name of the state.
        method: how to load.

    Raises:
        MethodMissingError: this QEMU lacks something that the method needs.
        NeedsDiskError: the method needs a disk, and the instance has none.
        NeedsSpawnError: the method starts programs, and the instance must not.
        NotOwnedError: the method needs a new QEMU, and losttick did not start the present one.
        MonitorError: QEMU did not load.
        QemuStartError: the new QEMU did not start.
    """
    way = _way(instance, method)
    if not way.new_process:
        await instance.stop()
        instance.console.drain()
    await way.load(instance, tag)
    instance.generation += 1


def _way(instance: Instance, method: Method | str) -> Snapshots:
    qemu = instance.host.facts.need_qemu()
    way = snapshots(Method(method), qemu)
    if way.needs_disk and not instance.config.disk:
        raise NeedsDiskError(Method(method))
    if way.new_process and not instance.owned:
        raise NotOwnedError(f"saving or loading by {Method(method)}")
    if way.spawns and forbids_spawn(instance.config, qemu):
        raise NeedsSpawnError(Method(method))
    return way
