from pathlib import Path

import pytest

from orchestrator.lab.kernel.kernel import KernelNameError
from orchestrator.lab.kernel.names import kernel


def tree(place: Path, modules: dict[str, str], config: str = "") -> Path:
    files = {"arch/x86/boot/bzImage": "kernel", "include/config/kernel.release": "9.9.0-own\n",
             "include/config/auto.conf": config, **modules}  # fmt: skip
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)
    return place


def test_a_tree(tmp_path: Path) -> None:
    modules = {"arch/x86/kvm/kvm.ko": "k", "arch/x86/kvm/kvm-intel.ko": "i"}
    found = kernel(f"tree:{tree(tmp_path, modules)}")
    assert (found.version, found.release) == ("9.9.0-own", "9.9.0-own")
    assert found.image.read_text() == "kernel"
    assert found.modules == {"kvm": b"k", "kvm-intel": b"i"}


def test_a_tree_with_kvm_built_in_or_not_at_all(tmp_path: Path) -> None:
    built_in = tree(tmp_path / "y", {}, "CONFIG_KVM_INTEL=y\n")
    assert kernel(f"tree:{built_in}").modules == {}
    not_built = tree(tmp_path / "m", {}, "CONFIG_KVM_INTEL=m\n")
    with pytest.raises(KernelNameError, match=r"kvm-intel\.ko, nor is it built in"):
        kernel(f"tree:{not_built}")
