"""Which disks can take part in a snapshot."""

from orchestrator.attached.disks import BlockInfo, reasons_against, snapshots, writable
from orchestrator.qmp.answers import understood


def drive(
    name: str, drv: str = "qcow2", *, ro: bool = False, names: tuple[str, ...] = ()
) -> object:
    """A drive as QEMU 7.2 describes it, with members that losttick does not read."""
    saved = [{"name": each, "id": "1", "vm-state-size": 9, "date-sec": 0} for each in names]
    image = {"filename": f"{name}.img", "format": drv, "virtual-size": 8, "snapshots": saved}
    inserted = {"ro": ro, "drv": drv, "image": image, "file": f"/vm/{name}.img", "node-name": "#b"}
    return {"device": name, "locked": False, "removable": False, "inserted": inserted}


def drives(*described: object) -> list[BlockInfo]:
    return understood("query-block", list[BlockInfo], list(described))


EMPTY = {"device": "cd", "locked": False, "removable": True, "type": "unknown"}


def test_all_writable_disks_take_part() -> None:
    found = drives(drive("a"), drive("b"), drive("iso", "raw", ro=True), EMPTY)
    assert not reasons_against(found)
    assert [each.name for each in writable(found)] == ["a", "b"]


def test_a_disk_that_cannot_take_part_is_named() -> None:
    (why,) = reasons_against(drives(drive("a"), drive("nvram", "raw")))
    assert "nvram (/vm/nvram.img) has the format raw" in why


def test_the_state_of_the_machine_needs_a_disk() -> None:
    (why,) = reasons_against(drives(drive("iso", "raw", ro=True), EMPTY))
    assert "no writable disk" in why


def test_snapshots_of_all_disks() -> None:
    found = drives(drive("a", names=("x", "y")), drive("b", names=("y", "z")), EMPTY)
    assert snapshots(found) == ["x", "y", "z"]


def test_a_drive_without_a_name() -> None:
    nameless = {**drives_of(drive("")), "qdev": "/machine/peripheral/disk0/virtio-backend"}
    assert drives(nameless)[0].name == "/machine/peripheral/disk0/virtio-backend"


def drives_of(described: object) -> dict[str, object]:
    assert isinstance(described, dict)
    return described
