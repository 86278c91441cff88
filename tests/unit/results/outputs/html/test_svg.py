"""Charts become inline SVG without anything that could act on the page."""

import re

from orchestrator.findings.outcome import Outcome
from orchestrator.results.outputs.html.charts import outcomes
from orchestrator.results.outputs.html.figures import Draughtsman
from orchestrator.results.outputs.html.svg import inline
from orchestrator.results.outputs.html.view import Table

DOCUMENT = """<svg xmlns="http://www.w3.org/2000/svg" width="100" height="50">
<script>alert(1)</script><style>* { fill: url(http://x) }</style><image href="http://x"/>
<foreignObject><body onload="alert(1)"/></foreignObject>
<g clip-path="url(#clip17)" onclick="alert(1)" class="mark-rect role-mark x" style="fill: red">
<path d="M0.123456,1" fill="#0072b2" opacity="0.5"/><path d="M1,1" fill="url(#clip17)"/>
<text transform="translate(1.26,0)" fill="#000">&lt;script&gt; &amp; "x"</text></g>
<g class="role-axis-grid"><line x2="5" stroke="#ddd"/></g>
<defs><clipPath id="clip17"><rect width="10" height="10"/></clipPath></defs></svg>"""


def test_only_what_is_known_is_kept() -> None:
    assert inline(DOCUMENT, "chart3", "A <title>", "Says & means") == (
        '<svg role="img" aria-labelledby="chart3-t chart3-d" viewBox="0 0 100 50" width="100" '
        'height="50"><title id="chart3-t">A &lt;title&gt;</title>'
        '<desc id="chart3-d">Says &amp; means</desc>'
        '<g clip-path="url(#chart3-0)"><path d="M0.1,1" opacity="0.5" class="f-normal"/>'
        '<path d="M1,1"/><text transform="translate(1.3,0)">&lt;script&gt; &amp; &quot;x&quot;'
        '</text></g><g class="grid"><line x2="5"/></g>'
        '<defs><clipPath id="chart3-0"><rect width="10" height="10"/></clipPath></defs></svg>'
    )


def test_a_drawn_chart_has_its_texts_and_colours_by_name() -> None:
    spec = outcomes([(Outcome.LOST, 0, 5, 0.5), (Outcome.IMMEDIATE, 5, 10, 1)], "trial", (0, 10))
    drawn = Draughtsman(1).draw("Title", "", "Description", spec, Table((), ())).svg
    assert {"lost", "immediate", "trial", "Title", "Description"} <= set(
        re.findall(r">([^<]+)<", drawn)
    )
    assert 'class="f-affected"' in drawn
    assert 'class="f-normal"' in drawn
    assert "#" not in drawn.replace("&#", "")  # no colour of its own
