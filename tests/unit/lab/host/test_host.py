"""How a booted lab changes its modules, with an agent that notes what it is asked."""

import errno
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.clock import DEFAULT_DEADLINES
from orchestrator.lab.emulator.boot import LabError
from orchestrator.lab.host.host import LabHost
from orchestrator.lab.host.image import boot_options, lab_files, module_path
from orchestrator.lab.host.programs import Programs
from orchestrator.lab.kernel.debian import Debian
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.testing import FACTS

KERNEL = Kernel(
    Debian("6.1.1-1"), "6.1.1-1", "6.1.0", Path("vmlinuz"),
    {"irqbypass": b"b", "kvm": b"k", "kvm-intel": b"i"}, "revert-fix",
)  # fmt: skip


class Agent:
    """Answers as the agent of a lab would, and fails as it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails: dict[str, list[int]] = {}
        self.files = {"kvm/parameters/halt_poll_ns": "200000\n", "kvm/parameters/secret": None,
                      "kvm_intel/parameters/enable_apicv": "N\n"}  # fmt: skip
        self.clock = self
        self.slept_ns = 0

    async def sleep(self, ns: int) -> None:
        self.slept_ns += ns

    async def ask(self, kind: bytes, qemu: int, payload: bytes) -> bytes:
        what = f"{kind.decode()} {payload.decode()}"
        if kind in b"UI":
            self.asked.append(what)
        if codes := self.fails.get(what):
            code = codes.pop(0)
            raise OSError(code, os.strerror(code))
        path = payload.decode().removeprefix("/sys/module/")
        if kind == b"D":
            names = [each.rpartition("/")[2] for each in self.files if each.startswith(f"{path}/")]
            if not names:
                raise FileNotFoundError(errno.ENOENT, path)
            return "".join(f"{name}\n" for name in (".", "..", *names)).encode()
        if kind == b"R" and self.files[path] is None:
            raise PermissionError(errno.EACCES, path)
        return str(self.files[path]).encode() if kind == b"R" else b""


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture
def host(agent: Agent) -> LabHost:
    image = SimpleNamespace(cpus=1, qemu="qemu")
    lab = SimpleNamespace(serial=["LAB kernel 6.1.0"])
    return LabHost(image, lab, agent, Programs(), FACTS, 5.0, DEFAULT_DEADLINES)  # type: ignore[arg-type]


async def test_the_modules_of_another_arm(agent: Agent, host: LabHost) -> None:
    agent.fails["U kvm_intel"] = [errno.EAGAIN, errno.EAGAIN]  # a QEMU has only just ended
    await host.load_modules(KERNEL, apicv=False)
    assert agent.asked == [
        "U kvm_intel", "U kvm_intel", "U kvm_intel", "U kvm",
        f"I /{module_path(b'k')}\0", f"I /{module_path(b'i')}\0enable_apicv=0",
    ]  # fmt: skip
    assert agent.slept_ns > 0
    assert host.facts.kvm_modules == {
        "kvm": {"halt_poll_ns": "200000"}, "kvm_intel": {"enable_apicv": "N"},
    }  # fmt: skip
    assert host.facts.qemu == FACTS.qemu


async def test_a_module_that_does_not_load_is_named(agent: Agent, host: LabHost) -> None:
    agent.fails[f"I /{module_path(b'i')}\0enable_apicv=1"] = [errno.ENOEXEC]
    with pytest.raises(LabError, match=r"modules of 6\.1\.1-1, revert-fix: .*Exec format error"):
        await host.load_modules(KERNEL, apicv=True)


async def test_a_module_that_stays_in_use_is_an_error(agent: Agent, host: LabHost) -> None:
    agent.fails["U kvm_intel"] = [errno.EAGAIN] * 1000
    with pytest.raises(LabError, match="temporarily unavailable"):
        await host.load_modules(KERNEL, apicv=True)
    assert len(agent.asked) < 100


@pytest.mark.parametrize("apicv", [True, False])
def test_kvm_that_is_built_in_gets_its_setting_on_the_command_line(*, apicv: bool) -> None:
    assert boot_options(KERNEL, apicv=apicv) == ""
    built_in = replace(KERNEL, modules={})
    assert boot_options(built_in, apicv=apicv) == f"kvm_intel.enable_apicv={int(apicv)}"


def test_a_lab_holds_the_modules_of_all_arms() -> None:
    untouched = Kernel(KERNEL.source, KERNEL.version, KERNEL.release, KERNEL.image,
                       {"irqbypass": b"b", "kvm": b"K", "kvm-intel": b"I"})  # fmt: skip
    files = lab_files(untouched, "/bin/job", apicv=True, others=[KERNEL, untouched])
    assert {content for path, content in files.items() if path.endswith(".ko")} == {
        b"b", b"k", b"i", b"K", b"I",
    }  # fmt: skip
    assert files["modules/load"].decode().splitlines() == [
        f"irqbypass /{module_path(b'b')}",
        f"kvm /{module_path(b'K')}",
        f"kvm-intel /{module_path(b'I')} enable_apicv=1",
    ]
