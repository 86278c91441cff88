"""Markdown: what it says, and that nothing in it is markup but what losttick put there."""

from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from orchestrator.plan.faults import COMMAND_LINE
from orchestrator.plan.load import build_plan
from orchestrator.results.outputs.markdown_text import block, code, paragraph, text
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import output
from orchestrator.results.report import Report
from orchestrator.verdict.verdict import Verdict
from tests.support.command_here import written
from tests.support.made_reports import HOSTILE, HOSTILE_NAME, arm, case, every_kind, report
from tests.support.records import heads

#: What losttick itself writes; the comments part texts that would be links.
PLAIN = {
    "heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "text",
    "table_open", "table_close", "thead_open", "thead_close", "tbody_open", "tbody_close",
    "tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close", "code_inline", "fence",
    "strong_open", "strong_close", "text_special", "html_inline",
}  # fmt: skip

NASTY = (
    "# a | b **bold** __bold__ _it_ `code` ``` <img src=x> [link](http://evil) ![i](x) "
    "@someone #12 www.evil.example http://evil.example ~~gone~~ $x$ &lt; \x1b[2J\n- item\n\n1. one"
)


@pytest.fixture(autouse=True)
def nightly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay the journal of the made reports where they name it."""
    monkeypatch.chdir(tmp_path)
    written(Path("nightly"), heads(build_plan({"seed": 1}, COMMAND_LINE)))


def markdown(*reports: Report) -> str:
    return output("markdown").render(reports, OutputOptions()).decode()


def tokens(document: str) -> list[Token]:
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(document)
    return [part for token in parsed for part in (token, *(token.children or ()))]


def shown(document: str) -> str:
    """Return the text that a reader sees."""
    return "".join(
        each.content
        for each in tokens(document)
        if each.type in ("text", "text_special", "code_inline", "fence", "code_block")
    )


def test_it_has_verdict_table_host_and_how_to_run_again() -> None:
    document = markdown(every_kind())
    assert document.startswith("## losttick run: affected\n\nThe meaning of the run.\n")
    assert "| `kvm/affected` | affected | 20 | 20 |" in document
    assert "### Host\n\nLinux 6.6.1-fake" in document
    assert "```sh\nlosttick run" in document
    assert "seed 1" in document


def test_an_arm_is_shown_with_its_known_answer() -> None:
    lab = report(
        case("a", Verdict.AFFECTED, 20, lab=arm(Verdict.AFFECTED), expected=Verdict.AFFECTED),
        case("b", Verdict.CLEAN, lab=arm(Verdict.AFFECTED), expected=Verdict.AFFECTED),
        command="lab run",
    )
    assert "| affected, as it must |" in markdown(lab)
    assert "| clean, where it must be affected |" in markdown(lab)


def test_a_run_that_has_not_ended_says_so() -> None:
    cut = report(
        case("a", Verdict.INCONCLUSIVE), interrupted="a signal stopped it",
        went_down="in trial 3 of a",
    )  # fmt: skip
    assert "**The run has not ended:** a signal stopped it." in markdown(cut)
    assert "**The host went down** in trial 3 of a." in markdown(cut)


def test_hostile_text_is_shown_and_is_no_markup() -> None:
    texts = {"why": NASTY + HOSTILE, "meaning": HOSTILE + NASTY}
    hostile = report(
        *(case(f"{HOSTILE_NAME}{NASTY}{n}", v, **texts) for n, v in enumerate(Verdict)),
        meaning=NASTY + HOSTILE, interrupted=NASTY, went_down=HOSTILE, losttick=NASTY,
    )  # fmt: skip
    document = markdown(hostile)
    found = tokens(document)
    assert {each.type for each in found} <= PLAIN
    assert {each.content for each in found if each.type == "html_inline"} == {"<!-- -->"}
    assert sum(each.type == "heading_open" for each in found) == document.count("\n#") + 1
    assert document.replace("\n", "").isprintable()
    rows = [each for each in found if each.type == "tr_open"]
    assert len(rows) == 1 + len(Verdict)
    assert sum(each.type == "td_open" for each in found) == 7 * len(Verdict)


def test_text_reads_as_it_was() -> None:
    for words in (NASTY, HOSTILE, "enable_apicv=Y", "6.1.176-1/untouched", "a  b"):
        one = words.replace("\n", "\\n").replace("\x1b", "\\x1b")
        if words != HOSTILE:
            assert shown(paragraph(words)) == one
            assert shown(code(words)).strip() == one.strip()
    assert text("6.1.176-1 with kvm_intel.enable_apicv=Y") == (
        "6.1.176-1 with kvm_intel.enable_apicv=Y"
    )
    for link in ("@someone", "#12", "http://evil", "www.evil"):
        assert link not in text(NASTY)


def test_a_paragraph_is_one_and_has_code_where_losttick_says_so() -> None:
    for words in (
        "# a",
        "- a",
        "---",
        "+ a",
        "1. a",
        "12) a",
        "=== a",
        "    a",
        "> a",
        "`a",
        "a\n- b",
    ):
        kinds = [each.type for each in tokens(paragraph(words))]
        assert kinds[:2] == ["paragraph_open", "inline"], words
        assert "code_inline" not in kinds
    assert [each.content for each in tokens(paragraph("run `a|b` twice")) if each.content][1:] == [
        "run ", "a|b", " twice"
    ]  # fmt: skip
    assert paragraph("6.1.176-1 is `clean`") == "6.1.176-1 is `clean`"


def test_a_block_ends_where_it_ends() -> None:
    (fence,) = tokens(block(["```", "# no heading", "````"]))
    assert (fence.type, fence.content) == ("fence", "```\n# no heading\n````\n")
