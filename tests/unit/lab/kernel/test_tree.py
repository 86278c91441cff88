"""Trees that a lab can run, and trees that are refused before any boot."""

from pathlib import Path

import pytest

from orchestrator.lab.kernel.kernel import KernelNameError
from orchestrator.lab.kernel.names import kernel
from orchestrator.lab.kernel.options import BUILT_IN, KVM, PORTS, REFUSED
from tests.support.trees import BUILT_IN_KVM, NEEDS, RELEASE, bzimage, module, tree

ROOT = Path(__file__).parents[4]

IRQBYPASS, KVM_KO, KVM_INTEL = NEEDS


def refused(place: Path) -> str:
    with pytest.raises(KernelNameError) as caught:
        kernel(f"tree:{place}")
    return str(caught.value)


def test_a_tree(tmp_path: Path) -> None:
    found = kernel(f"tree:{tree(tmp_path)}")
    assert (found.version, found.release) == (RELEASE, RELEASE)
    assert found.image == tmp_path / "arch/x86/boot/bzImage"
    assert found.modules == {
        "irqbypass": module(RELEASE), "kvm": module(RELEASE, "irqbypass"),
        "kvm-intel": module(RELEASE, "kvm"),
    }  # fmt: skip
    assert not found.kvm_built_in


def test_old_files_of_a_part_that_is_built_in_by_now_are_none(tmp_path: Path) -> None:
    """The configuration decides: such modules would load beside the kernel's own KVM."""
    found = kernel(f"tree:{tree(tmp_path, config=BUILT_IN_KVM)}")
    assert (tmp_path / KVM_INTEL).exists()
    assert found.modules == {}
    assert found.kvm_built_in


def test_newer_kernels_build_kvm_by_another_option(tmp_path: Path) -> None:
    changed = {"CONFIG_KVM_X86": "m", "CONFIG_KVM": "y"}
    assert "kvm" in kernel(f"tree:{tree(tmp_path, config=changed)}").modules


def test_a_home_folder_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tree(tmp_path / "home" / "linux").parent))
    assert kernel("tree:~/linux").release == RELEASE
    with pytest.raises(KernelNameError, match="no user has such a home folder"):
        kernel("tree:~nobody-of-that-name/linux")


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ({IRQBYPASS: None}, "irqbypass.ko, though CONFIG_IRQ_BYPASS_MANAGER=m"),
        ({KVM_INTEL: None}, "kvm-intel.ko, though CONFIG_KVM_INTEL=m"),
        (
            {KVM_KO: module("9.8.0", "irqbypass")},
            f"kvm.ko was built for 9.8.0, and arch/x86/boot/bzImage is {RELEASE}",
        ),
        ({KVM_KO: b"no module"}, "kvm.ko was built for no release"),
    ],
)
def test_modules_that_do_not_belong_to_the_image(
    tmp_path: Path, modules: dict[str, bytes | None], words: str
) -> None:
    said = refused(tree(tmp_path, modules=modules))
    assert words in said
    assert said.endswith("make bzImage modules")
    assert "debian:" not in said


def test_modules_that_need_what_no_lab_loads(tmp_path: Path) -> None:
    needs_more = {KVM_INTEL: module(RELEASE, "kvm,some_helper")}
    said = refused(tree(tmp_path / "a", modules=needs_more))
    assert "kvm-intel.ko needs some-helper.ko" in said
    assert "Build some-helper into the kernel (=y)" in said
    gone = tree(tmp_path / "b", config={"CONFIG_IRQ_BYPASS_MANAGER": "y"})
    assert "kvm.ko needs irqbypass.ko, but CONFIG_IRQ_BYPASS_MANAGER=y by now" in refused(gone)


def test_an_image_of_another_release_is_called_by_its_own(tmp_path: Path) -> None:
    """Nothing forbids it where there are no modules. The output names the kernel that boots."""
    place = tree(tmp_path, config=BUILT_IN_KVM)
    (place / "include/config/kernel.release").write_text("9.9.1-newer\n")
    assert kernel(f"tree:{place}").version == RELEASE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((option.name, None) for option in (*BUILT_IN, *KVM, PORTS)),
        ("CONFIG_SERIAL_8250_CONSOLE", "m"),
        (PORTS.name, "1"),
        *((option.name, "y") for option in REFUSED),
    ],
)
def test_a_configuration_that_does_not_do_is_named_with_its_option(
    tmp_path: Path, name: str, value: str | None
) -> None:
    said = refused(tree(tmp_path, config={name: value}))
    assert f"{name} (" in said or f"{name}=" in said
    assert "auto.conf" in said
    assert said.endswith("Set that, and build anew: make bzImage modules")


def test_a_tree_that_is_not_built(tmp_path: Path) -> None:
    assert "there is no folder /nowhere" in refused(Path("/nowhere"))
    (tmp_path / "empty").mkdir()
    assert "Build it: make bzImage" in refused(tmp_path / "empty")
    place = tree(tmp_path / "tree")
    (place / "include/config/auto.conf").unlink()
    assert "auto.conf: No such file or directory. Configure the tree" in refused(place)
    (place / "arch/x86/boot/bzImage").write_bytes(b"\x7fELF")
    assert "bzImage is no bzImage" in refused(place)
    (place / "arch/x86/boot/bzImage").write_bytes(bzimage("").replace(b" (me", b"\0 (me"))
    assert "does not say which release it is" in refused(place)


def test_the_page_of_the_lab_lists_each_option() -> None:
    page = (ROOT / "docs" / "lab.md").read_text()
    options = (*BUILT_IN, *KVM, PORTS, *REFUSED)
    assert [option.name for option in options if f"`{option.name}" not in page] == []
