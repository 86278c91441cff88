"""A real domain of libvirt's, in a session of its own, under TCG."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from orchestrator.vm.config import Accel
from tests.support.command import losttick_command
from tests.support.ended_trials import KILLS, end_trials
from tests.support.needs import Need, lacking
from tests.support.own_qemus import guest_args
from tests.support.processes import wait_until

NAME = "losttick-test"

DISKS = ("vda", "vdb")

#: Domain of one vCPU with two qcow2 disks. QEMU gets the guest by arguments of its own.
XML = """
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name><memory unit='MiB'>80</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/><apic/></features>
  <devices>
    <emulator>{qemu}</emulator>
    {disks}
    <controller type='usb' model='none'/><memballoon model='none'/>
  </devices>
  <qemu:commandline>{args}</qemu:commandline>
</domain>
"""

DISK = """<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
    <source file='{file}'/><target dev='{name}' bus='virtio'/></disk>"""


@dataclass
class Domain:
    """A running domain."""

    uri: str
    place: Path

    def virsh(self, *args: str) -> str:
        done = subprocess.run(
            ["virsh", "-q", "-c", self.uri, *args], capture_output=True, text=True, timeout=60,
            check=True,
        )  # fmt: skip
        return done.stdout

    def human(self, line: str) -> str:
        return self.virsh("qemu-monitor-command", "--hmp", NAME, "--cmd", line)

    def state(self) -> object:
        answer = json.loads(self.virsh("qemu-monitor-command", NAME, "--cmd",
                                       '{"execute":"query-block"}'))  # fmt: skip
        images = [each["inserted"]["image"] for each in answer["return"] if each.get("inserted")]
        names = [[each["name"] for each in image.get("snapshots", [])] for image in images]
        contents = []
        for name in DISKS:
            raw = self.place / f"{name}.raw"
            image = f"driver=qcow2,file.filename={self.place / name}.qcow2,file.locking=off"
            subprocess.run(
                ["qemu-img", "convert", "-U", "--image-opts", "-O", "raw", image, raw], check=True
            )
            contents.append(raw.read_bytes())
        return self.virsh("domstate", NAME).strip(), names, hash(tuple(contents))


#: A user who may run a session: for root libvirt has none.
SESSION_USER = "nobody"


@pytest.fixture
def domain() -> Iterator[Domain]:
    """A domain of a libvirt that runs for this test alone."""
    tools = {name: shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
             for name in ("libvirtd", "virsh", "setpriv", "qemu-system-x86_64")}  # fmt: skip
    if missing := [name for name, path in tools.items() if path is None]:
        lacking(Need.LIBVIRT, f"there is no {', '.join(missing)}: apt-get install libvirt-clients "
                "libvirt-daemon libvirt-daemon-driver-qemu")  # fmt: skip
    place = Path(tempfile.mkdtemp(prefix="losttick-libvirt-"))
    (place / "run").mkdir(parents=True)
    try:
        words = [
            *guest_args(place, Accel.TCG, "halt"),
            *("-chardev", f"file,id=console0,path={place}/console"),
        ]
        # libvirt gives the machine, its memory and its CPUs.
        own = {"-machine", "-cpu", "-m", "-smp", "-display"}
        kept = []
        for before, word in itertools.pairwise(["", *words]):
            if before not in own and word not in (*own, "-nodefaults", "-no-user-config"):
                kept.append(str(place / word) if word == "tick.bin" else word)
        for name in DISKS:
            image = place / f"{name}.qcow2"
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "8M"], check=True)
        args = "".join(f"<qemu:arg value={quoteattr(word)}/>" for word in kept)
        disks = "".join(DISK.format(file=place / f"{each}.qcow2", name=each) for each in DISKS)
        (place / "domain.xml").write_text(
            XML.format(name=NAME, qemu=tools["qemu-system-x86_64"], disks=disks, args=args)
        )
        become: list[str] = []
        if os.geteuid() == 0:
            for each in (place, *place.rglob("*")):
                shutil.chown(each, SESSION_USER)
            become = [str(tools["setpriv"]), f"--reuid={SESSION_USER}", "--regid=nogroup",
                      "--clear-groups"]  # fmt: skip
        homes = {name: str(place / "run") for name in
                 ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}  # fmt: skip
        daemon = subprocess.Popen(
            [*become, str(tools["libvirtd"])], env=os.environ | homes, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            address = place / "run" / "libvirt" / "libvirt-sock"
            assert wait_until(address.exists, 30)
            found = Domain(f"qemu+unix:///session?socket={address}", place)
            found.virsh("create", str(place / "domain.xml"))
            try:
                assert wait_until(lambda: (place / "console").exists(), 20)
                yield found
            finally:
                found.virsh("destroy", NAME)
        finally:
            daemon.terminate()
            daemon.wait(30)
    finally:
        shutil.rmtree(place)


def test_a_domain_is_looked_at_and_loaded_and_left_as_it_was(
    domain: Domain, losttick: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    for disk in DISKS:
        domain.human(f'qemu-io /machine/peripheral/virtio-disk{DISKS.index(disk)}/virtio-backend '
                     '"write -P 0x22 0 64k"')  # fmt: skip
    assert not domain.human("savevm theirs").strip()
    before = domain.state()
    named = ("attach", "--libvirt", NAME, "--connect", domain.uri)
    done = losttick(*named, "--seconds", "1", "--json")
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["condition"] == "alive"
    done = losttick(*named, "--loads", "1", "--yes", "--json")
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    assert (found["verdict"], found["frozen"]) == ("clean", 0)
    assert domain.state() == before

    with subprocess.Popen(
        losttick_command(*named, "--loads", "1000", "--yes"), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr
        for line in process.stderr:
            if line.startswith("load 1"):
                break
        process.send_signal(signal.SIGKILL)
        process.stderr.read()  # until the guardian has ended, too
    assert domain.state() == before

    done = losttick("attach", "--libvirt", "no-such-domain", "--connect", domain.uri)
    assert done.returncode == 2
    assert "`virsh list` names the domains" in done.stderr
    domain.virsh("suspend", NAME)
    done = losttick(*named)
    assert (done.returncode, "paused" in done.stdout) == (0, True)


@pytest.mark.thorough
@pytest.mark.timeout(120 + 60 * KILLS)
def test_losttick_is_ended_at_any_moment(domain: Domain) -> None:
    assert not domain.human("savevm theirs").strip()
    before = domain.state()
    saw: set[str] = set()
    for number in range(KILLS):
        saw |= end_trials(number, "--libvirt", NAME, "--connect", domain.uri)
        assert domain.state() == before, number
    print(*sorted(saw), sep="\n")
