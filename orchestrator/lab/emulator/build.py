"""Builds Bochs from Debian's source, with a few edits.

Five edits correct the emulated CPU (see `bochs.py`). The others are for a serial port on a socket:
it takes a socket that losttick hands down, and moves as many bytes at once as its FIFO holds,
instead of a byte each 87 microseconds.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InfraError
from orchestrator.packages.sources import source_archive
from orchestrator.process.tool import run_tool
from orchestrator.process.toolchain import need_tools

#: The Debian suite that has Bochs 3.0. (Bochs 3.1 miscomputes a signed division, of which
#: Linux dies; 2.7 has no posted interrupts.)
SUITE = "trixie"


VERSION = "3.0"


#: SHA-256 of bochs_3.0+dfsg.orig.tar.xz, from Debian's source index.
SOURCE_SHA256 = "78f6c73d4a6472d5130a87ab9dc306d02c7c71ed8e25b3a8ef642e2a7acd282b"


PROGRAM = "bochs"


FIRMWARE = ("bochsbios", "vgabios")


CONFIGURE = (
    "--with-nogui", "--enable-x86-64", "--enable-cpu-level=6", "--enable-vmx=2",
    "--enable-evex", "--enable-avx", "--enable-all-optimizations",
    "--enable-repeat-speedups", "--enable-fast-function-calls",
    "--enable-handlers-chaining", "--enable-pci", "--enable-cdrom", "--enable-memtype",
    "--enable-a20-pin", "--disable-docbook",
    # Costs an emulated machine with one CPU about 6 %, and saves a second build for those with two.
    "--enable-smp",
    # Its once-a-second speed message can deadlock against its own log.
    "--disable-show-ips",
    # No debugging information: a quarter of the size.
    "CFLAGS=-O2", "CXXFLAGS=-O2", "LDFLAGS=-s",
)  # fmt: skip


#: Number of files that a build compiles, for the progress bar.
COMPILED = 472


class BochsBuildError(InfraError):
    """Bochs could not be built."""


@dataclass(frozen=True, slots=True)
class SourceEdit:
    """One edit of Bochs's source: `old`, which occurs once in `file`, becomes `new`."""

    what: str
    file: str
    old: str
    new: str

    def apply(self, tree: Path) -> None:
        """Edit the source tree.

        Raises:
            BochsBuildError: the place is not there just once.
        """
        source = tree / self.file
        text = source.read_text()
        if (found := text.count(self.old)) != 1:
            raise BochsBuildError(
                f"{self.what}: {self.file} has {found} such places, not 1. "
                f"This is not the Bochs {VERSION} it is for."
            )
        source.write_text(text.replace(self.old, self.new))


EDITS = (
    SourceEdit(
        "relaxing the alignment of the posted-interrupt descriptor",
        "cpu/vmx.cc",
        "if (! IsValidPageAlignedPhyAddr(vm->pid_addr)) {",
        "if (! IsValidPhyAddr(vm->pid_addr) || (vm->pid_addr & 63)) {",
    ),
    SourceEdit(
        "noting the virtual interrupt that is delivered (IDT-vectoring information)",
        "cpu/vapic.cc",
        "    interrupt(vector, BX_EXTERNAL_INTERRUPT, 0, 0);\n",
        "    vm->idt_vector_info = vector | (BX_EXTERNAL_INTERRUPT << 8);\n"
        "    vm->idt_vector_error_code = 0;\n"
        "    interrupt(vector, BX_EXTERNAL_INTERRUPT, 0, 0);\n",
    ),
    SourceEdit(
        "delivering nothing at a notification without a posted interrupt",
        "cpu/vapic.cc",
        "  vector = BX_CPU_THIS_PTR lapic->highest_priority_int(virr);\n"
        "  if (vector >= vm->rvi) vm->rvi = vector;\n",
        "  int highest = BX_CPU_THIS_PTR lapic->highest_priority_int(virr);\n"
        "  if (highest >= (int) vm->rvi) vm->rvi = highest;  // -1: none is pending\n",
    ),
    SourceEdit(
        "letting interrupts of the host end a guest that is entered with interrupts off",
        "cpu/vmx.cc",
        "  BX_CPU_THIS_PTR in_vmx_guest = true;\n\n  unmask_event(BX_EVENT_INIT);\n",
        "  BX_CPU_THIS_PTR in_vmx_guest = true;\n"
        "  handleInterruptMaskChange();  // it depends on whether a guest runs\n\n"
        "  unmask_event(BX_EVENT_INIT);\n",
    ),
    SourceEdit(
        "delivering no virtual interrupt to a guest with interrupts off",
        "cpu/event.cc",
        "    if (is_pending(BX_EVENT_PENDING_VMX_VIRTUAL_INTR)) {\n",
        "    if (is_unmasked_event_pending(BX_EVENT_PENDING_VMX_VIRTUAL_INTR)) {\n",
    ),
    SourceEdit(
        "taking an inherited socket for a serial port, instead of connecting to a TCP port",
        "iodev/serial.cc",
        "      } else if ((mode == BX_SER_MODE_SOCKET_CLIENT) ||\n",
        """\
      } else if ((mode == BX_SER_MODE_SOCKET_CLIENT) && (strncmp(dev, "fd:", 3) == 0)) {
        BX_SER_THIS s[i].socket_id = atoi(dev + 3);
        BX_SER_THIS s[i].io_mode = mode;
      } else if ((mode == BX_SER_MODE_SOCKET_CLIENT) ||
""",
    ),
    SourceEdit(
        "sending all that the FIFO of a serial port on a socket holds at once",
        "iodev/serial.cc",
        "        ::send(BX_SER_THIS s[port].socket_id,\n"
        "               (const char*) &BX_SER_THIS s[port].tsrbuffer, 1, 0);\n",
        """\
        Bit8u many[17];
        int count = 0;
        many[count++] = BX_SER_THIS s[port].tsrbuffer;
        if (BX_SER_THIS s[port].fifo_cntl.enable && BX_SER_THIS s[port].tx_fifo_end > 0) {
          memcpy(&many[count], BX_SER_THIS s[port].tx_fifo, BX_SER_THIS s[port].tx_fifo_end);
          count += BX_SER_THIS s[port].tx_fifo_end;
          BX_SER_THIS s[port].tx_fifo_end = 0;
          BX_SER_THIS s[port].line_status.thr_empty = 1;
          raise_interrupt(port, BX_SER_INT_TXHOLD);
        }
        ::send(BX_SER_THIS s[port].socket_id, (const char*) many, count, 0);
""",
    ),
    SourceEdit(
        "receiving as much as the FIFO of a serial port on a socket waits for at once",
        "iodev/serial.cc",
        "              ::recv(socketid, (char*) &chbuf, 1, 0);\n              if (bytes > 0) {\n",
        """\
              // Up to the trigger level, no further: the next bytes wait until these are read.
              ::recv(socketid, (char*) many, BX_SER_THIS s[port].fifo_cntl.enable ?
                     trigger[BX_SER_THIS s[port].fifo_cntl.rxtrigger & 3] -
                     BX_SER_THIS s[port].rx_fifo_end : 1, 0);
              if (bytes > 0) {
                for (int each = 0; each < bytes - 1; each++) rx_fifo_enq(port, many[each]);
                chbuf = many[bytes - 1];
""",
    ),
    SourceEdit(
        "making room for what is received at once",
        "iodev/serial.cc",
        "  unsigned char chbuf = 0;\n",
        "  unsigned char chbuf = 0, many[16];\n  static const int trigger[] = {1, 4, 8, 14};\n",
    ),
)


def build_bochs(
    work: Path,
    progress: Callable[[int, int], None],
    cache: Path | None,
) -> Path:
    """Build Bochs in a workshop; return the program.

    Raises:
        NoToolsError: no compiler or make.
        BochsBuildError: a step failed.
        PackagesError: its source can't be had.
    """
    need_tools("building Bochs")
    tree = work / "tree"
    tree.mkdir()
    archive = source_archive(SUITE, "bochs", work, cache=cache, sha256=SOURCE_SHA256)
    step = functools.partial(run_tool, doing="building Bochs", failed=BochsBuildError, cwd=tree)
    step(["tar", "-xf", str(archive), "--strip-components=1"])
    for edit in EDITS:
        edit.apply(tree)
    step(["/bin/sh", "./configure", *CONFIGURE], on_line=lambda line: None)
    compiled = 0

    def count(line: str) -> None:
        nonlocal compiled
        if " -c " in line:
            compiled += 1
            progress(min(compiled, COMPILED), COMPILED)

    step(["make", f"-j{os.cpu_count() or 1}"], on_line=count)
    alone = work / "built" / PROGRAM
    alone.parent.mkdir()
    return (tree / PROGRAM).rename(alone)
