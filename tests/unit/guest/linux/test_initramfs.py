import stat
import struct

from orchestrator.guest.linux.initramfs import Entry, archive, folder, initramfs, node, program


def read(data: bytes) -> list[Entry]:
    """Return the entries of an archive, read by the offsets of the format's description."""
    found, at = [], 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        _, mode, _, _, _, _, size, _, _, major, minor, name_size, _ = fields
        name = data[at + 110 : at + 110 + name_size]
        assert name.endswith(b"\0")
        start = -(-(at + 110 + name_size) // 4) * 4
        if name == b"TRAILER!!!\0":
            return found
        content = data[start : start + size]
        found.append(Entry(name[:-1].decode(), mode, content, (major, minor)))
        at = -(-(start + size) // 4) * 4


def test_an_archive_holds_its_entries() -> None:
    entries = [folder("a"), program("a/b", b"12345"), node("a/c", 5, 1), program("d", b"")]
    assert read(archive(entries)) == entries
    assert len(archive(entries)) % 4 == 0


def test_the_guests_archive() -> None:
    entries = {entry.name: entry for entry in read(initramfs())}
    assert set(entries) == {"dev", "proc", "dev/console", "dev/mem", "init"}
    assert stat.S_ISCHR(entries["dev/mem"].mode)
    assert (entries["dev/console"].device, entries["dev/mem"].device) == ((5, 1), (1, 1))
    assert entries["init"].mode & 0o111
    assert len(initramfs()) <= 16_000


def test_the_program_is_static_and_keeps_to_integer_registers() -> None:
    """The kernel starts it as it is: no interpreter, and an entry point in a segment."""
    content = {entry.name: entry for entry in read(initramfs())}["init"].data
    assert content[:5] == b"\x7fELF\x02"
    kind, machine = struct.unpack_from("<HH", content, 16)
    assert (kind, machine) == (2, 62)  # ET_EXEC, x86-64
    offset, size, count = struct.unpack_from("<Q", content, 32)[0], 56, content[56]
    kinds = [struct.unpack_from("<I", content, offset + size * n)[0] for n in range(count)]
    assert 3 not in kinds  # PT_INTERP
    assert 2 not in kinds  # PT_DYNAMIC
