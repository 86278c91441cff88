"""Whatever a bundle holds, it is read or it is refused with exit code 2, and nothing is written."""

import functools
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.exits import ExitCode
from orchestrator.journal.archive import zstd
from orchestrator.journal.file import JOURNAL
from orchestrator.results.bundling.pack import pack
from tests.support.bundles import archive, entry
from tests.support.fuzz import command, fuzzing
from tests.support.run_folders import make_run_folder

#: Exit codes of a run that is shown, and of one that is refused.
READ = {ExitCode.CLEAN, ExitCode.USAGE}


@functools.cache
def valid() -> bytes:
    """Return the archive in a bundle, without its compression."""
    with TemporaryDirectory() as place:
        folder = make_run_folder("clean", Path(place) / "run")
        evidence = folder / "evidence" / "0001-control-lost"
        evidence.mkdir(parents=True)
        (evidence / "console.txt").write_text("tick\n")
        return zstd.decompress(pack(folder).data)


def shown(data: bytes, folder: Path) -> None:
    """Show a bundle; check that it is read or refused, and that nothing is left behind."""
    path = folder / "b.tar.zst"
    path.write_bytes(data)
    before = sorted(folder.iterdir())
    done = command("show", str(path))
    assert done.code in READ, done
    assert done.code == ExitCode.CLEAN or "reading the" in done.err
    assert sorted(folder.iterdir()) == before


@fuzzing
@given(st.data())
def test_fuzzed_archives_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    found = bytearray(valid())
    headers = [at for at in range(0, len(found), 512) if found[at + 257 : at + 262] == b"ustar"]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.sampled_from(headers)) + data.draw(st.integers(0, 511))
        found[at] = data.draw(st.integers(0, 255))
        start = at // 512 * 512
        if data.draw(st.booleans()):  # mend the checksum, so that what was changed is looked at
            block = found[start : start + 512]
            total = 256 + sum(block[:148]) + sum(block[156:])
            found[start + 148 : start + 156] = b"%06o\0 " % total
    shown(zstd.compress(bytes(found)), tmp_path)


@fuzzing
@given(st.data())
def test_fuzzed_compressions_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    found = bytearray(zstd.compress(valid()))
    for _ in range(data.draw(st.integers(1, 4))):
        found[data.draw(st.integers(4, len(found) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(4, len(found)))
    shown(bytes(found[: cut if data.draw(st.booleans()) else None]), tmp_path)


NAMES = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    ["..", "../x", "/x", "a/../b", "a//b", ".", "a\0b", "evidence/x", JOURNAL, "\x1b[2J"]
)


@fuzzing
@given(
    st.lists(
        st.tuples(
            NAMES, st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE,
                                    tarfile.CHRTYPE, tarfile.DIRTYPE, b"g", b"x", b"L", b"S"]),
            st.binary(max_size=600),
        ),
        max_size=4,
    ),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)  # fmt: skip
def test_fuzzed_files_are_read_or_refused(
    tmp_path: Path, files: list[tuple[str, bytes, bytes]], form: int
) -> None:
    members = [entry(name, content, type=kind) for name, kind, content in files]
    shown(zstd.compress(archive(members, form)), tmp_path)
