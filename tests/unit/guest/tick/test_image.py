import shutil
import subprocess
from pathlib import Path

from orchestrator.guest.tick.image import firmware
from tests.support.needs import Need, lacking
from tests.support.places import IMAGES


def test_the_committed_image_is_what_the_source_gives(tmp_path: Path) -> None:
    if not all(map(shutil.which, ("as", "objcopy", "objdump"))):
        lacking(Need.BINUTILS, "apt-get install binutils")
    rebuilt = tmp_path / "tick.bin"
    subprocess.run([IMAGES / "tick" / "build.sh", rebuilt], check=True)
    assert rebuilt.read_bytes() == (IMAGES / "tick" / "tick.bin").read_bytes()
    assert firmware().content == rebuilt.read_bytes()
    assert len(firmware().content) == 64 * 1024
