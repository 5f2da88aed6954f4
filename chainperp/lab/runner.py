"""Runs scenarios into result folders that can be deleted and made again to the same bytes.

    OUT/S2/scenario.toml   the file that was run
    OUT/S2/result.json     seed, versions, command line, values, chains, tables, figures, verdicts
    OUT/S2/tables/*.csv    the tables again
    OUT/S2/figures/*.svg   the figures
    OUT/S2/chains/*        chains that the engine made, as data directories: `chainperp verify` and
                           `chainperp replay` check each
    OUT/S2/report.md, report.html
    OUT/index.md, index.html    all results of the folder, by claim

The command line in a result is the one that makes it again; how many processes did it, and where it
was put, is not part of it.
"""

import csv
import json
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from pathlib import Path
from shutil import rmtree
from typing import Any, Final, NamedTuple

from chainperp import __version__
from chainperp.base.errors import BadRequest, NotFound
from chainperp.lab.catalogue import claims_of, study_of, unsourced, values_of
from chainperp.lab.chain import slug
from chainperp.lab.figures import draw
from chainperp.lab.outcome import Figure, Outcome, Series
from chainperp.lab.refusals import read_json, read_text, refuse
from chainperp.lab.report import html_page, index_html, index_markdown, markdown_page
from chainperp.lab.scenario import Scenario, ShockFile, StudyFile, read_scenario
from chainperp.lab.shock import outcome_of
from chainperp.storage.package import rules_hash

FORMAT: Final = 1
LIBRARIES: Final = ("numpy", "scipy", "matplotlib", "pydantic")
Step = Callable[[str], None]


def versions() -> dict[str, str]:
    """Of everything that a figure depends on."""
    found = {"chainperp": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def command_line(path: Path, scenario: Scenario, quick: bool) -> str:
    """What makes the result again: the file by name, since its bytes are in the result."""
    name = path.stem if path.parent.name == "scenarios" else path.name
    return f"chainperp lab run {name}" + (" --quick" if quick else "")


def execute(
    path: Path,
    quick: bool = False,
    pool: Executor | None = None,
    step: Step | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """One scenario, run: the document that is its result. Chains go below `out`, when given."""
    scenario = read_scenario(path)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    if isinstance(scenario, ShockFile):
        outcome = outcome_of(scenario, pool, step)
        values = scenario.model_dump(mode="json", exclude={"title", "study", "seed"})
    else:
        study = study_of(path.name, scenario.study)
        checked = values_of(path.name, scenario, quick)
        try:
            outcome = study.run(checked, scenario.seed)
        except BadRequest as error:
            # What only the experiment can see, such as a clearing without an answer.
            refuse(f"{path.name}: values", str(error))
        values, sources = checked.model_dump(mode="json"), scenario.sources
        if values.get("data"):
            # A path of this machine says nothing elsewhere: the notes have the table's hash.
            values["data"] = "a folder of tables"
        bare = unsourced(scenario)
        if bare:
            outcome.notes.append(f"No source is given for: {', '.join(bare)}.")
    if out is not None:
        write_chains(out / path.stem / "chains", outcome)
    if quick:
        outcome.notes.append("Small values (--quick): the full run may come to other verdicts.")
    return {
        "format": FORMAT,
        "name": path.stem,
        "study": scenario.study,
        "title": scenario.title,
        "command": command_line(path, scenario, quick),
        "seed": scenario.seed,
        "versions": versions(),
        "rules_hash": rules_hash().hex(),
        "claims": list(claims_of(scenario.study)),
        "values": values,
        "sources": dict(sources),
        **outcome.document(),
    }


def write_chains(folder: Path, outcome: Outcome) -> None:
    """Each chain as a data directory, in place of those of an earlier result."""
    rmtree(folder, ignore_errors=True)
    for name, chain in outcome.chains.items():
        chain.write(folder / slug(name))


def write_result(folder: Path, document: dict[str, Any], scenario_text: str) -> None:
    """A result folder. Files of an earlier result of the same name are replaced."""
    for part in ("tables", "figures"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for old in (folder / part).iterdir():
            old.unlink()
    _write(folder / "scenario.toml", scenario_text)
    _write(folder / "result.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    for table in document["tables"]:
        _write(folder / "tables" / f"{table['name']}.csv", csv_text(table))
    write_report(folder, document)


def write_report(folder: Path, document: dict[str, Any]) -> None:
    """Figures and pages of a result, from the result alone."""
    drawn: dict[str, str] = {}
    for figure in document["figures"]:
        drawn[figure["name"]] = draw(figure_of(figure))
        _write(folder / "figures" / f"{figure['name']}.svg", drawn[figure["name"]])
    _write(folder / "report.md", markdown_page(document))
    _write(folder / "report.html", html_page(document, drawn))


def figure_of(tree: dict[str, Any]) -> Figure:
    """A figure from its JSON."""
    series = [Series(**one) for one in tree["series"]]
    return Figure(**{**tree, "series": series})


def write_index(out: Path) -> None:
    """The index of all results below a folder."""
    documents = [read_result(path.parent) for path in sorted(out.glob("*/result.json"))]
    documents.sort(key=lambda one: (len(one["name"]), one["name"]))
    _write(out / "index.md", index_markdown(documents))
    _write(out / "index.html", index_html(documents))


def read_result(folder: Path) -> dict[str, Any]:
    """A result from its folder. Raises NotFound or BadRequest."""
    document = read_json(folder / "result.json")
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        refuse(f"{folder.name}/result.json: format", f"must be {FORMAT}")
    return document


class RunTerms(NamedTuple):
    """How scenarios are run: with small values, in how many processes, chains written or not."""

    quick: bool
    jobs: int = 1
    chains: bool = True


def run_all(
    paths: Sequence[Path], out: Path, terms: RunTerms, step: Step | None = None
) -> list[dict[str, Any]]:
    """Scenarios into folders below `out`, several at a time; the index last."""
    quick, jobs = terms.quick, terms.jobs
    chains = out if terms.chains else None
    for path in paths:  # refuse before anything runs
        scenario = read_scenario(path)
        if isinstance(scenario, StudyFile):
            values_of(path.name, scenario, quick)
    documents: list[dict[str, Any]] = []
    if jobs > 1 and len(paths) > 1:
        with ProcessPoolExecutor(jobs) as pool:
            count = len(paths)
            rest = [None] * count, [None] * count, [chains] * count
            for document in pool.map(execute, paths, [quick] * count, *rest):
                documents.append(document)
                _tell(step, document["name"])
    elif jobs > 1:
        with ProcessPoolExecutor(jobs) as pool:
            documents = [execute(path, quick, pool, step, chains) for path in paths]
    else:
        for path in paths:
            documents.append(execute(path, quick, None, step, chains))
            _tell(step, path.stem)
    for path, document in zip(paths, documents, strict=True):
        write_result(out / path.stem, document, read_text(path))
    write_index(out)
    return documents


def _tell(step: Step | None, name: str) -> None:
    if step is not None:
        step(name)


def csv_text(table: dict[str, Any]) -> str:
    """A table as CSV with Unix line ends."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table["columns"])
    writer.writerows(table["rows"])
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise NotFound(f"{path} cannot be written: {error.strerror}") from error
