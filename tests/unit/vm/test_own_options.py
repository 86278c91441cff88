import pytest

from orchestrator.plan.cell import Cell
from orchestrator.plan.faults import PlanError
from orchestrator.plan.load import build_plan
from orchestrator.vm.argv import DISK_FILE, qemu_args
from orchestrator.vm.config import Accel
from tests.support.plans import ids


def only_cell(**axes: object) -> Cell:
    return build_plan({"axes": axes}, "test").cells(Accel.KVM)[0]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ("-S", "cannot do its work with -S"),
        ("--S", "cannot do its work with --S"),
        ("-qmp stdio", "cannot do its work with -qmp"),
        ("-serial stdio", "cannot do its work with -serial"),
        ("-nographic", "cannot do its work"),
        ("-device virtio-rng-pci -monitor stdio", "cannot do its work with -monitor"),
        ("-machine q35", "use --machine"),
        ("-cpu max", "use --cpu"),
        ("-enable-kvm", "use --accel"),
        ("-bios other.bin", "use --firmware"),
        ("-loadvm x", "use --method"),
        ("-drive if=pflash,file=x", "take over the firmware"),
        ("-drive if=none,id=disk,file=x", "take over a disk"),
        ("-blockdev driver=null-co,node-name=vmstate", "take over a disk"),
        ("-device isa-debugcon,chardev=console0", "take over a character device"),
        ("-debugcon chardev:console1", "take over a character device"),
        ("-chardev null,id=qmp", "take over a character device"),
        ("-device isa-serial -serial chardev:console0", "cannot do its work with -serial"),
        ("-fw_cfg name=opt/losttick/config,string=x", "take over the guest's configuration"),
        ("-global migration.x-events=off", "take over migration settings"),
        ("-global driver=migration,property=x-events,value=off", "take over migration settings"),
        ("disk.img", "is no option of QEMU"),
        ("-name 'unfinished", "No closing quotation"),
    ],
)
def test_what_losttick_sets_itself_is_refused(args: str, why: str) -> None:
    with pytest.raises(PlanError, match=why):
        only_cell(qemu_args=args)


#: Options of losttick, each with the option of `losttick run` that sets it.
REPLACED = {
    "--machine": "M machine", "--cpu": "cpu", "--memory": "m", "--vcpus": "smp",
    "--accel": "accel enable-kvm no-kvm", "--firmware": "bios pflash",
    "--method": "loadvm incoming",
}  # fmt: skip

#: Options that take away a monitor, the console, a disk or the process itself.
FORBIDDEN = (
    "S qmp qmp-pretty mon monitor serial nographic curses display daemonize preconfig no-reboot "
    "no-shutdown action nodefaults no-user-config nouserconfig readconfig snapshot kernel h help "
    "version only-migratable chroot runas run-with pidfile writeconfig"
)


def test_every_option_that_would_take_losttick_s_place_is_refused() -> None:
    for instead, names in REPLACED.items():
        for name in names.split():
            said = f"losttick sets -{name} itself: use {instead}( |$)"
            with pytest.raises(PlanError, match=said):
                only_cell(qemu_args=f"-{name} x")
    for name in FORBIDDEN.split():
        with pytest.raises(PlanError, match=f"losttick cannot do its work with -{name}: leave"):
            only_cell(qemu_args=f"-{name} x")


@pytest.mark.parametrize(
    "args",
    ["-device virtio-rng-pci", "-rtc base=utc,clock=vm", "-drive if=none,id=mine,file=x",
     "-chardev null,id=mine", "-name 'a guest'", "-global kvm-pit.lost_tick_policy=discard"],
)  # fmt: skip
def test_other_arguments_reach_qemu_in_their_order(args: str) -> None:
    cell = only_cell(qemu_args=args)
    argv, own = qemu_args(cell.instance_config()), list(cell.qemu_args.args)
    at = next(at for at in range(len(argv)) if argv[at : at + len(own)] == own)
    assert at > max(n for n, arg in enumerate(argv) if DISK_FILE in arg)


def test_arguments_are_part_of_the_id() -> None:
    found = ids({"axes": {"qemu_args": ["", "-device virtio-rng-pci", "-device 'virtio-rng-pci'",
                                        "-device pvpanic"]}})  # fmt: skip
    assert found[0].endswith("25loads")
    assert len(found) == 3
    assert found[1].endswith("/qemu_args=589b2d97")


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        ("pc,accel=tcg", "use --accel"),
        ("pc,kernel_irqchip=split", "use --irqchip"),
        ("pc,hpet=off,pflash0=x", "use --firmware"),
        ("pc,pflash1=x", "use --firmware"),
        ("pc,firmware=x", "use --firmware"),
        ("pc,type=q35", "use the machine's name"),
    ],
)
def test_machine_options_that_losttick_sets_are_refused(machine: str, why: str) -> None:
    with pytest.raises(PlanError, match=why):
        only_cell(machine=machine)


def test_a_machine_with_options() -> None:
    cell = only_cell(
        machine="pc,hpet=off", irqchip="split", cpu="qemu64,hv-synic,hv-spinlocks=0x1fff"
    )
    argv = qemu_args(cell.instance_config())
    assert argv[argv.index("-machine") + 1] == "pc,hpet=off,accel=kvm,kernel-irqchip=split"
    assert argv[argv.index("-cpu") + 1].startswith("qemu64,hv-synic,hv-spinlocks=0x1fff")


def test_firmware_and_vmstate() -> None:
    plain = qemu_args(only_cell().instance_config())
    assert "-bios" in plain
    argv = qemu_args(only_cell(firmware="pflash", vmstate="second").instance_config())
    assert "-bios" not in argv
    drives = [argv[at + 1] for at, arg in enumerate(argv) if arg == "-drive"]
    assert "if=pflash,format=raw,readonly=on,file=tick.bin" in drives
    disks = [drive for drive in drives if drive.startswith("if=none")]
    assert ["node-name=vmstate" in disk for disk in disks] == [False, True]
    assert "readonly=on" in disks[0]
