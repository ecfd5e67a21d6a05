"""Reported beside reached, out of the committed records, and the documents that show it: README, docs/results.md, each
script's docstring and each paper's page (`zoo.commands.results.tables` has their tables).

A record is the result.json of a run whose `test` was run on best.ckpt and on last.ckpt. Both stand in the table: the
best checkpoint was chosen on other latents (or on validation images) while training, and never stands alone.
"""

import importlib.util
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zoo.commands.references import with_references
from zoo.commands.results.tables import for_readme, for_results, of_paper, page_tables, plain_table, short_table
from zoo.errors import RecordError, ZooError
from zoo.runs.folder import RunDir, write_atomically
from zoo.runs.measures import is_secondary
from zoo.runs.record import read_result, set_beside, without_folders
from zoo.runs.study import (
    STUDY_FILE,
    grouped,
    is_study,
    mean_and_spread,
    measures_of,
    read_study,
    values_of,
)
from zoo.runs.text import with_spread

BEGIN, END = "Reported and reached (written by `python -m zoo reached --write`)", "End of the table"
BUDGET = ("--images", "--trainer.precision")  # options that say how long and how precisely, not what


class Row(NamedTuple):
    """One measure of one record, or one that is reported and was not run.

    Attributes:
        paper: its name.
        cells: in the order of HEAD.
        data: the data set, and its resolution where it is set.
        command: that reaches the figure, arguments of python.
        settings: what was set beside the recipe, but for the budget and the precision: " --model.width 32".
    """

    paper: str
    cells: tuple[str, ...]
    data: str = ""
    command: str = ""
    settings: str = ""


def recipes_of(script: Path) -> Mapping[str, Any]:
    """The RECIPES of a reproduction script."""
    return dict(imported(script).RECIPES)


def imported(script: Path) -> Any:
    """A reproduction script as a module."""
    spec = importlib.util.spec_from_file_location(f"reproduction_{script.stem}", script)
    if spec is None or spec.loader is None:
        raise ZooError(f"{script} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(folder: Path) -> Iterator[Row]:
    """The rows of every record below `folder`/records, by paper, recipe and seed.

    Raises:
        ZooError: a record without both tests, or of a recipe that its script does not have.
    """
    for file in sorted((folder / "records").glob("*.json")):
        if is_study(file):
            yield from study_rows(read_study(file), folder)
            continue
        record = read_result(file)
        recipes = recipes_of(folder / f"{record['paper']}.py")
        if record["recipe"] not in recipes:
            raise ZooError(f"{file} is of recipe {record['recipe']!r}, which {record['paper']}.py does not have")
        tests = {Path(test["checkpoint"]).stem: test for test in record["tests"]}
        if "last" not in tests:
            raise ZooError(f"{file} needs `test` on last.ckpt; it has {sorted(tests) or 'no test'}")
        for name in tests["last"]["values"]:
            if not is_secondary(name, tests["last"]["values"]):
                yield row(record, name, best=tests.get("best"), last=tests["last"], recipe=recipes[record["recipe"]])


def study_rows(study: dict[str, Any], folder: Path) -> Iterator[Row]:
    """One row a group and measure: mean and standard deviation over the group's runs; then the study's findings."""
    groups = grouped(study)
    paper = study["paper"]
    command = f"reproductions/{paper}.py study --name {study['study']}"
    of_study = options_of_study(folder / f"{paper}.py", study["study"])
    recipes = [records[0]["recipe"] for records in groups.values()]
    for group, records in groups.items():
        first = records[0]
        recipe = first["recipe"] if recipes.count(first["recipe"]) == 1 else f"{first['recipe']}, {group}"
        own = recipes_of(folder / f"{first['paper']}.py")[first["recipe"]]
        protocols = {name: key for test in first["tests"] for name, key in test["protocols"].items()}
        for name in measures_of(records):
            best, last = (values_of(records, name, checkpoint=which) for which in ("best", "last"))
            cells = (
                recipe,
                name,
                own.reported.get(name, "not reported"),
                mean_and_spread(best),
                mean_and_spread(last),
                f"{first['images_seen']:,}",
                seeds(records),
                commits(records),
                protocols.get(name, ""),
            )
            settings = set_beside(first, leave_out=[*of_study, *BUDGET])
            yield Row(paper, cells, data_of(own.config), command + set_beside(first, leave_out=of_study), settings)
    every = list(study["records"].values())
    for name, value in study["findings"].items():
        figure = (f"study {study['study']}", name, "not reported", "", f"{value:.4g}", "")
        yield Row(paper, (*figure, seeds(every), commits(every), ""), command=command)


def options_of_study(script: Path, name: str) -> list[str]:
    """Names of the options that a study itself gives its members; none if the script has no such study any more."""
    study = getattr(imported(script), "STUDIES", {}).get(name)
    given = (
        []
        if study is None
        else [*study.options, *(word for member in study.members.values() for word in member.options)]
    )
    return [word.partition("=")[0] for word in given if word.startswith("--")]


def seeds(records: list[dict[str, Any]]) -> str:
    """The seeds of several runs, as "0-9" where they follow each other."""
    found = sorted({record["seed"] for record in records})
    if len(found) > 2 and found == list(range(found[0], found[-1] + 1)):
        return f"{found[0]}-{found[-1]}"
    return ", ".join(map(str, found))


def commits(records: list[dict[str, Any]]) -> str:
    """The commits of several runs, shortened."""
    return ", ".join(sorted({(record["commit"] or "unknown")[:7] for record in records}))


def row(record: dict[str, Any], name: str, *, best: Any, last: Any, recipe: Any) -> Row:
    """The row of one measure."""
    cells = (
        record["recipe"],
        name,
        recipe.reported.get(name, "not reported"),
        f"{with_spread(name, best['values'])} at {best['images_seen']:,}" if best else "not chosen",
        with_spread(name, last["values"]),
        f"{record['images_seen']:,}",
        str(record["seed"]),
        (record["commit"] or "unknown")[:7],
        last["protocols"].get(name, ""),
    )
    settings = set_beside(record, leave_out=BUDGET)
    return Row(record["paper"], cells, data_of(recipe.config), reached_by(record), settings)


def reached_by(record: Mapping[str, Any]) -> str:
    """What trained a record: the recipe, and what was set beside it."""
    return fit_command(record["paper"], record["recipe"]) + set_beside(record)


def fit_command(paper: str, recipe: str) -> str:
    """What trains a recipe."""
    return f"reproductions/{paper}.py fit --recipe {recipe}"


def data_of(config: Mapping[str, Any]) -> str:
    """The data set of a recipe, and its resolution where it is set."""
    data = config.get("data")
    if not data:
        return "none"
    name = str(data["class_path"]).rpartition(".")[2]
    resolution = data.get("init_args", {}).get("resolution")
    return name + (f" {resolution}x{resolution}" if resolution else "")


def not_run(paper: str, recipes: Mapping[str, Any], reached: list[Row]) -> Iterator[Row]:
    """A row for each recipe that has reported figures which nobody reached; one for a paper that has no row at all.

    Args:
        paper: its name.
        recipes: of its script.
        reached: the rows of this paper's records.
    """
    there = {(row.cells[0].partition(", ")[0], row.cells[1]) for row in reached}
    rest, found = ("not run", "not run", "", "", "", ""), bool(reached)
    for name, recipe in recipes.items():
        missing = {measure: text for measure, text in recipe.reported.items() if (name, measure) not in there}
        if missing:
            cells = (name, ", ".join(missing), ", ".join(missing.values()), *rest)
            yield Row(paper, cells, data_of(recipe.config), fit_command(paper, name))
            found = True
    if not found:
        yield Row(paper, ("", "", "not reported", *rest))


def with_table(text: str, table: str, *, file: Path) -> str:
    """`text` with what stands between the two marker lines replaced."""
    pattern = re.compile(rf"({re.escape(BEGIN)}[^\n]*\n).*?([^\n]*{re.escape(END)})", re.DOTALL)
    if not pattern.search(text):
        raise ZooError(f"{file} lacks the lines {BEGIN!r} and {END!r}, between which the table goes")
    return pattern.sub(lambda match: match[1] + table + match[2], text, count=1)


def runs_of(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of single runs below `folder`/records, those within studies too."""
    for file in sorted((folder / "records").glob("*.json")):
        if is_study(file):
            yield from read_study(file)["records"].values()
        else:
            yield read_result(file)


def documents(root: Path) -> dict[Path, str]:
    """README, docs/results.md, the scripts and the pages of papers as they should read, by file."""
    table = list(rows(root / "reproductions"))
    runs = list(runs_of(root / "reproductions"))
    wanted: dict[Path, str] = {}
    short: list[Row] = []
    results = "\n"
    for script in sorted((root / "reproductions").glob("[!_]*.py")):
        recipes = recipes_of(script)
        own = [row for row in table if row.paper == script.stem]
        missing = list(not_run(script.stem, recipes, own))
        wanted[script] = plain_table(own)
        page = root / "docs" / f"{script.stem}.md"
        if page.is_file():
            wanted[page] = page_tables([*own, *missing], [run for run in runs if run["paper"] == script.stem])
        short += for_readme(own, missing, recipes)
        results += of_paper(for_results(own) or missing[:1], missing if own else missing[1:], recipes, page=page)
    wanted[root / "README.md"] = short_table(short)
    wanted[root / "docs/results.md"] = results
    return {file: with_table(file.read_text(), text, file=file) for file, text in wanted.items()}


def keep(run: Path, root: Path) -> Path:
    """Copies a run's result.json, its last grid and its last figures to reproductions/records.

    Folders in its commands are called DIR and RUN there.

    Of a study: its study.json and its figures.

    Raises:
        RecordError: no valid record in the run, one that lacks a test, or one of a fine-tuning run, which is none of
            its recipe.
    """
    if (run / STUDY_FILE).is_file():
        return keep_study(run, root)
    record = read_result(run)
    if "finetune" in record:
        start = record["finetune"]["init_from"] or "other settings"
        raise RecordError(
            f"{run} was fine-tuned or augmented (from {start}): it is no run of the recipe {record['recipe']!r} and is "
            "not kept beside those; a study keeps such runs"
        )
    there = {"last"} | ({"best"} if RunDir(run).best_checkpoint.is_file() else set())
    tested = {Path(test["checkpoint"]).stem for test in record["tests"]}
    if missing := sorted(there - tested):
        raise RecordError(f"{run} is not measured at its {missing[0]} checkpoint: `test --ckpt_path {missing[0]}` does")
    record["commands"] = [without_folders(command) for command in record["commands"]]
    file = root / "reproductions/records" / f"{record['paper']}-{record['recipe']}-seed{record['seed']}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(record, indent=2) + "\n")
    for samples in sorted(RunDir(run).grids.glob("*.png"))[-1:]:
        shutil.copyfile(samples, file.with_suffix(".png"))
    latest = {figure.stem.rpartition("-")[0]: figure for figure in sorted(RunDir(run).figures.glob("*-*.png"))}
    for name, figure in latest.items():
        shutil.copyfile(figure, file.with_name(f"{file.stem}-{name}.png"))
    return file


def keep_study(folder: Path, root: Path) -> Path:
    """Copies a study's record and its figures."""
    study = read_study(folder / STUDY_FILE)
    for record in study["records"].values():
        record["commands"] = [without_folders(command) for command in record["commands"]]
        if "finetune" in record and record["finetune"]["init_from"]:
            record["finetune"]["init_from"] = Path(record["finetune"]["init_from"]).name
    file = root / "reproductions/records" / f"{study['paper']}-study-{study['study']}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(study, indent=1) + "\n")
    for figure in sorted((folder / "figures").glob("*.png")):
        shutil.copyfile(figure, file.with_name(f"{file.stem}-{figure.name}"))
    return file


def write(root: Path) -> list[Path]:
    """Writes the tables of results and of papers, and the citations; the files that changed."""
    wanted = with_references(documents(root), root)
    changed = [(file, text) for file, text in wanted.items() if file.read_text() != text]
    for file, text in changed:
        write_atomically(file, text)
    return [file for file, _ in changed]
