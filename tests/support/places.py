"""Where the parts of the source tree are, whatever folder a test is in."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "orchestrator"
IMAGES = ROOT / "images"
DOCS = ROOT / "docs"

#: Output of real programs, recorded once.
GOLDEN = ROOT / "tests" / "golden"
