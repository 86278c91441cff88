import pytest

from orchestrator.host.facts import QemuFacts
from orchestrator.vm.machine import MachineMissingError, machine_of, require_machine, versioned

OLD = QemuFacts(
    "/old", "7.2.0", "0" * 64, ("kvm",),
    machines=("isapc", "pc-i440fx-1.4", "pc-i440fx-2.12", "pc-i440fx-2.9", "pc-i440fx-7.2",
              "pc-q35-2.12", "pc-q35-7.2"),
    machine_aliases={"pc": "pc-i440fx-7.2", "q35": "pc-q35-7.2"},
)  # fmt: skip
NEW = QemuFacts(
    "/new", "11.1.0", "1" * 64, ("kvm",),
    machines=("pc-i440fx-10.0", "pc-i440fx-11.1", "pc-i440fx-5.2", "pc-i440fx-7.2", "pc-q35-11.1"),
    machine_aliases={"pc": "pc-i440fx-11.1", "q35": "pc-q35-11.1"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "old", "new"),
    [
        ("pc-i440fx-oldest", "pc-i440fx-1.4", "pc-i440fx-5.2"),
        ("pc-i440fx-2.12-or-later", "pc-i440fx-2.12", "pc-i440fx-5.2"),
        ("pc-i440fx-2.10-or-later,hpet=off", "pc-i440fx-2.12,hpet=off", "pc-i440fx-5.2,hpet=off"),
        ("pc-i440fx-5.3-or-later", "pc-i440fx-7.2", "pc-i440fx-7.2"),
        ("pc-q35-oldest", "pc-q35-2.12", "pc-q35-11.1"),
        ("pc", "pc", "pc"),
        ("pc-i440fx-2.12", "pc-i440fx-2.12", "pc-i440fx-2.12"),  # QEMU itself refuses it
    ],
)
def test_a_value_means_what_the_qemu_has(value: str, old: str, new: str) -> None:
    assert (machine_of(value, OLD), machine_of(value, NEW)) == (old, new)


def test_a_version_that_is_missing_is_named() -> None:
    with pytest.raises(MachineMissingError, match=r"machine type pc-i440fx-8\.0-or-later\. It has "
                       r"pc-i440fx-1\.4 to pc-i440fx-7\.2"):  # fmt: skip
        machine_of("pc-i440fx-8.0-or-later", OLD)
    with pytest.raises(MachineMissingError, match="It has none of that name"):
        machine_of("virt-oldest", OLD)


def test_the_machine_of_a_state_that_another_qemu_loads() -> None:
    assert versioned("pc,hpet=off", OLD, NEW) == "pc-i440fx-7.2,hpet=off"
    assert versioned("pc", NEW, OLD) == "pc-i440fx-11.1"
    assert versioned("pc-i440fx-2.12-or-later", OLD, NEW) == "pc-i440fx-7.2"
    require_machine("pc-i440fx-7.2,hpet=off", NEW)
    with pytest.raises(MachineMissingError, match=r"has no machine type pc-i440fx-11\.1"):
        require_machine("pc-i440fx-11.1", OLD)
    with pytest.raises(MachineMissingError, match=r"It has pc-i440fx-5\.2 to pc-i440fx-11\.1"):
        require_machine("pc-i440fx-2.12,hpet=off", NEW)
