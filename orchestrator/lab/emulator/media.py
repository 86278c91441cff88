"""The media that a lab boots: an initial RAM disk and a CD."""

import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from orchestrator.cache.workshop import cache_folder, workshop
from orchestrator.packages.trees import Unpacked, unpack
from orchestrator.process.tool import run_tool

#: The suite of the tools that make them.
TOOLS_SUITE = "bookworm"


#: The kernel's command line. `tsc_early_khz`: CPUID claims 3.5 GHz, but the TSC ticks at Bochs's
#: `ips`. `notests`: the kernel's tests of its ciphers would take a quarter of the boot.
COMMAND_LINE = (
    "console=ttyS0,115200 nohpet nokaslr mitigations=off tsc=reliable tsc_early_khz=50000 "
    "no_timer_check panic=1 random.trust_cpu=on audit=0 cryptomgr.notests quiet"
)


def initrd(files: Mapping[str, bytes], cache: Path | None = None) -> bytes:
    """Return a cpio archive of a busybox system with these files, all executable.

    It is not compressed, so that a kernel without CONFIG_RD_GZIP can unpack it.
    """
    busybox = unpack(TOOLS_SUITE, ["busybox-static"], cache).root / "bin" / "busybox"
    everything = {"bin/busybox": busybox.read_bytes(), **files}
    parents = {str(each) for path in everything for each in PurePosixPath(path).parents}
    folders = ({"dev", "proc", "sys"} | parents) - {"."}
    entries = [(folder, 0o040755, b"") for folder in sorted(folders)]
    entries += [(path, 0o100755, data) for path, data in everything.items()]
    return _cpio(entries)


def _cpio(entries: list[tuple[str, int, bytes]]) -> bytes:
    """Return an archive in the "new ASCII" format (Linux: initramfs-buffer-format)."""
    archive = bytearray()
    for inode, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        path = name.encode() + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        archive += b"070701" + b"".join(b"%08x" % field for field in fields)
        for part in (path, data):
            archive += part
            archive += b"\0" * (-len(archive) % 4)
    return bytes(archive)


def boot_cd(kernel: Path, initial: bytes, cache: Path | None = None, *, options: str = "") -> bytes:
    """Return an ISO image that boots a kernel with an initial RAM disk.

    Args:
        kernel: the kernel's image.
        initial: the initial RAM disk.
        cache: where the tools are kept; losttick's cache folder by default.
        options: what to add to the kernel's command line.

    Raises:
        ToolError: the image could not be made.
    """
    tools = unpack(TOOLS_SUITE, ["genisoimage", "isolinux", "syslinux-common"], cache)
    with workshop((cache or cache_folder()) / "media") as work:
        return _make_cd(tools, work, kernel, initial, f"{COMMAND_LINE} {options}".rstrip())


def _make_cd(tools: Unpacked, work: Path, kernel: Path, initial: bytes, command_line: str) -> bytes:
    tree, output = work / "tree", work / "cd.iso"
    (tree / "isolinux").mkdir(parents=True)
    shutil.copy(kernel, tree / "vmlinuz")
    (tree / "initrd").write_bytes(initial)
    for part in ("ISOLINUX/isolinux.bin", "syslinux/modules/bios/ldlinux.c32"):
        shutil.copy(tools.root / "usr/lib" / part, tree / "isolinux")
    (tree / "isolinux" / "isolinux.cfg").write_text(
        "default lab\nprompt 0\ntimeout 0\nlabel lab\n"
        f" kernel /vmlinuz\n append initrd=/initrd {command_line}\n"
    )
    program, prefix = tools.command("usr/bin/genisoimage")
    run_tool(
        [*prefix, program, "-quiet", "-o", str(output), "-b", "isolinux/isolinux.bin",
         "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4",
         "-boot-info-table", str(tree)],
        "making the lab's CD",
    )  # fmt: skip
    return output.read_bytes()
