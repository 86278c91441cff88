import pytest

from orchestrator.packages.apt import suite_sources


@pytest.mark.parametrize(
    ("suite", "lines"),
    [
        ("bookworm", ["{mirror} bookworm"]),
        ("trixie-backports", ["{mirror} trixie", "{mirror} trixie-backports"]),
        ("bookworm-security", ["{mirror} bookworm", "{security} bookworm-security"]),
        ("bookworm,bookworm-security", ["{mirror} bookworm", "{security} bookworm-security"]),
        ("bookworm,trixie", ["{mirror} bookworm", "{mirror} trixie"]),
    ],
)
def test_the_sources_of_a_suite(suite: str, lines: list[str]) -> None:
    assert suite_sources(suite) == "".join(f"deb {line} main\n" for line in lines)
