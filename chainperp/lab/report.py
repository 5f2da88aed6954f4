"""A result as a page: Markdown, and one HTML file that needs nothing beside it.

Pages are made from `result.json` alone. They state the defects of the data that was used and what
must not be read into the figures.
"""

from base64 import b64encode
from typing import Any, Final

from jinja2 import Environment

from chainperp.lab.claims import CLAIMS, DEFECTS, OVERCLAIMS
from chainperp.lab.outcome import shown

ROWS_SHOWN: Final = 60
CHECKED: Final = (
    "Each is a data directory beside this page: chainperp verify DIRECTORY checks its log, "
    "chainperp replay DIRECTORY executes it again, chainperp audit DIRECTORY derives its money."
)
PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;font-size:13px;margin:.5rem 0;display:block;overflow-x:auto}
td,th{border:1px solid #ccc;padding:.2rem .5rem;text-align:right}
td:first-child,th:first-child{text-align:left}
td.l,th.l{text-align:left}code{font-size:12px;word-break:break-all}
.supported{color:#146314}.refuted{color:#a11}.conditional{color:#8a5a00}.inconclusive{color:#555}
figure{margin:1rem 0}img{max-width:100%}
</style></head><body>
{{ body }}
</body></html>
"""
BODY: Final = """<h1>{{ d.title }}</h1>
<p>{{ d.study }} · seed {{ d.seed }} · <code>{{ d.command }}</code></p>
{% if d.verdicts %}<h2>Claims</h2>
<table><tr><th>claim</th><th class="l">what it says</th><th class="l">verdict</th>
<th class="l">because</th><th class="l">what would change it</th></tr>
{% for v in d.verdicts %}<tr><td>{{ v.claim }}</td><td class="l">{{ claims[v.claim] }}</td>
<td class="l {{ v.finding }}"><b>{{ v.finding }}</b></td><td class="l">{{ v.because }}</td>
<td class="l">{{ v.would_change }}</td></tr>
{% endfor %}</table>{% endif %}
{% for f in d.figures %}<figure><img alt="{{ f.title }}" src="data:image/svg+xml;base64,{{ svg[f.name] }}"></figure>
{% endfor %}{% for t in d.tables %}<h2>{{ t.title }}</h2>
<table><tr>{% for c in t.columns %}<th>{{ c }}</th>{% endfor %}</tr>
{% for r in t.rows[:limit] %}<tr>{% for c in r %}<td>{{ shown(c) }}</td>{% endfor %}</tr>
{% endfor %}</table>{% if t.rows|length > limit %}<p>{{ t.rows|length }} rows; all are in
<code>tables/{{ t.name }}.csv</code>.</p>{% endif %}
{% endfor %}{% if d.notes %}<h2>Notes</h2><ul>{% for n in d.notes %}<li>{{ n }}</li>{% endfor %}</ul>{% endif %}
<h2>Values and sources</h2><table><tr><th>value</th><th>set to</th><th class="l">source</th></tr>
{% for k, v in d["values"].items() %}<tr><td>{{ k }}</td><td>{{ v }}</td>
<td class="l">{{ d.sources.get(k, "the scenario file") }}</td></tr>
{% endfor %}</table>
{% if d.assumed %}<h2>Open points and what was chosen</h2><ul>
{% for k, v in d.assumed.items() %}<li><b>{{ k }}</b>: {{ v }}</li>{% endfor %}</ul>{% endif %}
{% if d.defects %}<h2>Known defects of the data</h2><ul>
{% for one in defects %}<li>{{ one }}</li>{% endfor %}</ul>{% endif %}
<h2>What this does not say</h2><ul>{% for one in overclaims %}<li>{{ one }}</li>{% endfor %}</ul>
<h2>Made by</h2><table>{% for k, v in d.versions.items() %}<tr><td>{{ k }}</td><td>{{ v }}</td></tr>
{% endfor %}<tr><td>rules hash</td><td><code>{{ d.rules_hash }}</code></td></tr></table>
{% if d.chains %}<h2>Chains of the engine</h2>
<p>{{ checked }}</p>
<table><tr><th>chain</th><th>height</th><th>entries</th><th class="l">state root</th>
<th class="l">data directory</th></tr>
{% for k, c in d.chains.items() %}<tr><td>{{ k }}</td><td>{{ c.height }}</td><td>{{ c.entries }}</td>
<td class="l"><code>{{ c.state_root }}</code></td><td class="l"><code>{{ c.log }}</code></td></tr>
{% endfor %}</table>{% endif %}"""  # noqa: E501
INDEX: Final = """<h1>The lab's results</h1>
<h2>By claim</h2><table><tr><th>claim</th><th class="l">what it says</th><th class="l">results</th></tr>
{% for code, text in claims.items() %}<tr><td>{{ code }}</td><td class="l">{{ text }}</td>
<td class="l">{% for d, v in by_claim[code] %}<a href="{{ d.name }}/report.html">{{ d.name }}</a>
<span class="{{ v.finding }}">{{ v.finding }}</span>{% if not loop.last %}, {% endif %}
{% else %}not run here{% endfor %}</td></tr>
{% endfor %}</table>
<h2>By experiment</h2><table><tr><th>result</th><th class="l">title</th><th class="l">made by</th></tr>
{% for d in documents %}<tr><td><a href="{{ d.name }}/report.html">{{ d.name }}</a></td>
<td class="l">{{ d.title }}</td><td class="l"><code>{{ d.command }}</code></td></tr>
{% endfor %}</table>"""  # noqa: E501
Document = dict[str, Any]


def html_page(document: Document, drawn: dict[str, str]) -> str:
    """One page with its figures inside."""
    environment = Environment(autoescape=True)
    body = environment.from_string(BODY).render(
        d=document,
        claims=CLAIMS,
        svg={name: b64encode(text.encode()).decode() for name, text in drawn.items()},
        shown=shown,
        limit=ROWS_SHOWN,
        defects=DEFECTS,
        overclaims=OVERCLAIMS,
        checked=CHECKED,
    )
    return _page(document["title"], body)


def _page(title: str, body: str) -> str:
    plain = Environment(autoescape=False)  # noqa: S701 - the body was escaped when it was made
    safe = Environment(autoescape=True).from_string("{{ t }}").render(t=title)
    return plain.from_string(PAGE).render(title=safe, body=body) + "\n"


def index_html(documents: list[Document]) -> str:
    """Claims and results."""
    body = Environment(autoescape=True).from_string(INDEX)
    text = body.render(claims=CLAIMS, by_claim=by_claim(documents), documents=documents)
    return _page("The lab's results", text)


def by_claim(documents: list[Document]) -> dict[str, list[tuple[Document, Any]]]:
    """Results and verdicts of each claim."""
    found: dict[str, list[tuple[Document, Any]]] = {code: [] for code in CLAIMS}
    for document in documents:
        for one in document["verdicts"]:
            found[one["claim"]].append((document, one))
    return found


def _cells(cells: list[Any]) -> str:
    return "| " + " | ".join(shown(cell).replace("|", "\\|") for cell in cells) + " |"


def _table(columns: list[str], rows: list[list[Any]]) -> list[str]:
    lines = [_cells(columns), "|" + " --- |" * len(columns)]
    return [*lines, *(_cells(row) for row in rows[:ROWS_SHOWN]), ""]


def markdown_page(document: Document) -> str:
    """The same as Markdown; figures are links to the SVG files."""
    lines = [f"# {document['title']}", ""]
    lines += [f"{document['study']} · seed {document['seed']} · `{document['command']}`", ""]
    if document["verdicts"]:
        rows = [
            [one["claim"], one["finding"], one["because"], one["would_change"]]
            for one in document["verdicts"]
        ]
        lines += ["## Claims", ""]
        lines += [f"- {one['claim']}: {CLAIMS[one['claim']]}" for one in document["verdicts"]]
        lines += ["", *_table(["claim", "verdict", "because", "what would change it"], rows)]
    for figure in document["figures"]:
        lines += [f"![{figure['title']}](figures/{figure['name']}.svg)", ""]
    for table in document["tables"]:
        lines += [f"## {table['title']}", "", *_table(table["columns"], table["rows"])]
        if len(table["rows"]) > ROWS_SHOWN:
            lines += [f"{len(table['rows'])} rows; all are in `tables/{table['name']}.csv`.", ""]
    lines += _lists(document)
    values = [
        [name, str(value), document["sources"].get(name, "the scenario file")]
        for name, value in document["values"].items()
    ]
    lines += ["## Values and sources", "", *_table(["value", "set to", "source"], values)]
    made = [[name, text] for name, text in document["versions"].items()]
    lines += ["## Made by", "", *_table(["what", "version"], made)]
    lines += [f"Rules hash `{document['rules_hash']}`.", ""]
    if document["chains"]:
        chains = [
            [name, one["height"], one["entries"], one["state_root"], one["log"]]
            for name, one in document["chains"].items()
        ]
        columns = ["chain", "height", "entries", "state root", "data directory"]
        lines += ["## Chains of the engine", "", CHECKED, "", *_table(columns, chains)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _lists(document: Document) -> list[str]:
    assumed = [f"{code}: {text}" for code, text in document["assumed"].items()]
    lines: list[str] = []
    for title, items in (
        ("Notes", document["notes"]),
        ("Open points and what was chosen", assumed),
        ("Known defects of the data", DEFECTS if document["defects"] else ()),
        ("What this does not say", OVERCLAIMS),
    ):
        if items:
            lines += [f"## {title}", "", *(f"- {item}" for item in items), ""]
    return lines


def index_markdown(documents: list[Document]) -> str:
    """The index as Markdown."""
    found = by_claim(documents)
    claims = [
        [
            code,
            text,
            ", ".join(
                f"[{d['name']}]({d['name']}/report.md) {v['finding']}" for d, v in found[code]
            )
            or "not run here",
        ]
        for code, text in CLAIMS.items()
    ]
    rows = [
        [f"[{d['name']}]({d['name']}/report.md)", d["title"], f"`{d['command']}`"]
        for d in documents
    ]
    lines = ["# The lab's results", "", "## By claim", ""]
    lines += _table(["claim", "what it says", "results"], claims)
    lines += ["## By experiment", "", *_table(["result", "title", "made by"], rows)]
    return "\n".join(lines).rstrip("\n") + "\n"
