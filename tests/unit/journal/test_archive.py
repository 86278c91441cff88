"""Bundles from strangers: whatever a bundle never has is refused, and nothing is written."""

import os
import tarfile
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.journal import archive as limits
from orchestrator.journal.archive import BundleError, index, open_member
from orchestrator.journal.file import JOURNAL, is_being_written
from orchestrator.journal.journal_file import LONGEST_LINE, JournalFormatError
from orchestrator.results.bundling.pack import pack
from orchestrator.results.report import read_report
from tests.support.bundles import archive, entry, write_bundle
from tests.support.run_folders import make_run_folder

SYM, HARD, DEVICE = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE


@pytest.fixture
def journal(tmp_path: Path) -> bytes:
    return (make_run_folder("clean", tmp_path / "run") / JOURNAL).read_bytes()


def bundle(tmp_path: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    return write_bundle(tmp_path / "b.tar.zst", archive(entries))


def test_a_bundle_is_read_as_its_folder_is(tmp_path: Path, journal: bytes) -> None:
    path = bundle(tmp_path, entry(JOURNAL, journal), entry("evidence/1/console.txt", b"tick\n"))
    report = read_report(path)
    assert report.cases == read_report(tmp_path / "run").cases
    assert not is_being_written(path / JOURNAL)
    assert index(path) == {JOURNAL: len(journal), "evidence/1/console.txt": 5}
    with open_member(path, "evidence/1/console.txt") as file:
        assert file.read() == b"tick\n"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (entry("evidence/x", type=SYM, linkname="/etc/passwd"), "a link, a device"),
        (entry("evidence/x", type=HARD, linkname=JOURNAL), "a link, a device"),
        (entry("evidence/x", type=DEVICE), "a link, a device"),
        (entry("evidence/x", type=tarfile.FIFOTYPE), "a link, a device"),
        (entry("evidence", type=tarfile.DIRTYPE), "a link, a device"),
        (entry("evidence/x", linkname="y"), "a link, a device"),
        (entry("/etc/cron.d/x", b"x"), "not a name of a file below"),
        (entry("evidence/../../x", b"x"), "not a name of a file below"),
        (entry("./x", b"x"), "not a name of a file below"),
        (entry("evidence//x", b"x"), "not a name of a file below"),
        (entry("evidence\\x", b"x"), "not a name of a file below"),
        (entry("evidence/\x1b[2Jx", b"x"), "not a name of a file below"),
        (entry(JOURNAL, b"x"), "stands in it twice"),
    ],
)
def test_whatever_a_bundle_never_has_is_refused_before_the_journal_is_read(
    tmp_path: Path, journal: bytes, bad: tuple[tarfile.TarInfo, bytes], reason: str,
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = bundle(tmp_path, entry(JOURNAL, journal), bad)
    before = sorted(os.walk(tmp_path))
    for command in ("show", "explain"):
        monkeypatch.setattr("sys.argv", ["losttick", command, str(path)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, fault = capfd.readouterr()
        assert (ended.value.code, out) == (2, "")
        assert reason in fault
        assert "\x1b" not in fault
    assert sorted(os.walk(tmp_path)) == before


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_headers_that_let_a_name_be_anything_are_refused(tmp_path: Path, form: int) -> None:
    long = archive([entry("evidence/" + "x" * 200, b"x")], form)
    with pytest.raises(BundleError, match="not a plain file"):
        index(write_bundle(tmp_path / "b", long))


@pytest.mark.parametrize("cut", [1, 511, 512, 700, 1024, 1500])
def test_an_archive_that_is_cut_short_or_goes_on_is_refused(tmp_path: Path, cut: int) -> None:
    whole = archive([entry(JOURNAL, b"x" * 600)])
    with pytest.raises(BundleError, match=r"cut short|does not end"):
        index(write_bundle(tmp_path / "b", whole[:cut]))
    for more in (b"x", bytes(1 << 20)):
        with pytest.raises(BundleError, match="does not end where its files end"):
            index(write_bundle(tmp_path / f"{len(more)}", whole + more))


def test_a_damaged_bundle_is_refused(tmp_path: Path) -> None:
    data = bytearray(pack(make_run_folder("clean", tmp_path / "run")).data)
    path = tmp_path / "b"
    for at in (5, len(data) // 2, len(data) - 2):
        damaged = data.copy()
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(BundleError):
            open_member(path, JOURNAL).read()
    path.write_bytes(data[:-10])
    with pytest.raises(BundleError, match="damaged or cut short"):
        index(path)


def test_bombs_are_refused_without_being_read(tmp_path: Path) -> None:
    huge, _ = entry(JOURNAL)
    huge.size = limits.FREE_BYTES + 1
    data = huge.tobuf(tarfile.USTAR_FORMAT) + bytes(2048)
    with pytest.raises(BundleError, match="holds more than 268,435,456 bytes"):
        index(write_bundle(tmp_path / "claims", data))
    # A frame that asks for a window of 1 GiB, with one empty block.
    (tmp_path / "window").write_bytes(limits.MAGIC + bytes([0, 20 << 3, 1, 0, 0]))
    with pytest.raises(BundleError, match="damaged or cut short"):
        index(tmp_path / "window")


def test_a_line_that_never_ends_is_refused(tmp_path: Path) -> None:
    content = b'{"record":"run","format":1,"x":"' + b"a" * LONGEST_LINE
    path = bundle(tmp_path, entry(JOURNAL, content))
    with pytest.raises(JournalFormatError, match="line 1: it has more than 67,108,864 bytes"):
        read_report(path)


def test_what_is_no_bundle_is_named_as_before(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("text")
    with pytest.raises(Exception, match=r"reading the run in .*x: journal.jsonl: Not a directory"):
        read_report(tmp_path / "x")
    path = bundle(tmp_path, entry("README.txt", b"x"))
    with pytest.raises(Exception, match=r"reading the run in .*: journal.jsonl: No such file"):
        read_report(path)
