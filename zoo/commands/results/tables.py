"""What README, the pages in docs/, the scripts and the terminal say of runs: which results, and in what tables."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from zoo.commands.results.results import Result, Value
from zoo.experiments.measures import MEASURES
from zoo.runs.record import hardware, overrides
from zoo.runs.tables import markdown
from zoo.runs.text import duration, lined_up, number

Line = tuple[Result, ...]  # of a table: one result, or all of a recipe that were not run
HEAD = ("recipe", "measure", "reported", "best", "last", "images", "seed", "commit", "protocol")
VALUES = (HEAD[0], "data", *HEAD[1:])
LONG = (*VALUES, "command")  # of docs/results.md
WITH, WITHOUT = "With a reported figure", "Without a reported figure"
COSTS = ("recipe", "runs", "images", "images/s", "wall time", "precision", "hardware")
NOT_A_COST = ("--images", "--trainer.precision", "--model.architecture_seed")  # have columns, or are averaged over
SHORT = 50  # letters of settings in a cell of README's table
AND = "; "  # between two values in a cell
NO_COST = "No run is recorded yet, and so no cost.\n"


# A line as text.


def cells(line: Line) -> tuple[str, ...]:
    """A line in the order of HEAD."""
    first = line[0]
    return (
        name_of(first),
        ", ".join(result.measure or "" for result in line),
        ", ".join(result.reported or "not reported" for result in line),
        best(first),
        shown(first.last) if first.last else "not run",
        "" if first.images is None else f"{first.images:,}",
        span_of_seeds(first.seeds),
        ", ".join(first.commits),
        first.protocol or "",
    )


def with_data(line: Line) -> tuple[str, ...]:
    """A line in the order of VALUES."""
    recipe, *rest = cells(line)
    return (recipe, line[0].data, *rest)


def with_command(line: Line) -> tuple[str, ...]:
    """A line in the order of LONG."""
    return (*with_data(line), f"`{line[0].command}`" if line[0].command else "")


def name_of(result: Result) -> str:
    """The recipe, and in a study with several of it the variant; or the study."""
    if result.study is not None:
        return f"study {result.study}"
    return (result.recipe or "") + (f", {result.variant}" if result.variant is not None else "")


def best(result: Result) -> str:
    """The value at the best checkpoint, or why there is none."""
    if result.best is not None:
        return shown(result.best)
    if result.last is None:
        return "not run"
    return "" if result.study is not None else "not chosen"


def shown(value: Value) -> str:
    """9.21 +/- 0.12 at 60,000."""
    return number(value.number, value.error) + ("" if value.images is None else f" at {value.images:,}")


def span_of_seeds(seeds: Sequence[int]) -> str:
    """Sorted seeds, as "0-9" where they follow each other."""
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ", ".join(map(str, seeds))


# Tables: plain text, Markdown.


def apart(
    head: Sequence[str], table: Sequence[Line], row: Callable[[Line], Sequence[str]]
) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """A title, the head and the rows of the lines with a reported figure, then of those without, if there are any.

    Args:
        head: names of the columns, among them "reported", which the second table lacks.
        table: the lines.
        row: a line in the order of `head`.
    """
    at = head.index("reported")
    for title, of_paper in ((WITH, True), (WITHOUT, False)):
        rows = [list(row(line)) for line in table if (line[0].reported is not None) == of_paper]
        names = list(head)
        if not of_paper:
            for cut in (names, *rows):
                del cut[at]
        if rows:
            yield title, names, rows


def markdown_apart(head: Sequence[str], table: Sequence[Line], row: Callable[[Line], Sequence[str]]) -> str:
    """The tables of `apart` as Markdown, each below its title."""
    return "\n".join(f"{title}:\n\n{markdown(names, rows)}" for title, names, rows in apart(head, table, row))


def plain_table(table: Sequence[Line]) -> str:
    """For a docstring: columns lined up by spaces, indented by four."""
    if not table:
        return "    not run\n"
    parts = [
        f"    {title}\n{lined_up([names, *rows], right=(), indent='    ')}\n"
        for title, names, rows in apart(HEAD, table, cells)
    ]
    return "\n".join(parts)


def by_paper(table: Sequence[Line]) -> str:
    """For the terminal: a paper's name over its lines, which follow one another in `table`."""
    papers = groupby(table, key=lambda line: line[0].paper)
    return "\n".join(f"{paper}\n{plain_table(list(own))}" for paper, own in papers) or plain_table([])


def page_tables(table: Sequence[Line], records: Iterable[Mapping[str, Any]]) -> str:
    """Markdown: a paper's results, and the cost of its runs, evaluations included.

    Args:
        table: the lines of this paper, reached or not run.
        records: of this paper's runs, those of studies too.
    """
    arms = [line[0] for line in table if is_arm(line[0])]
    values = [line for line in table if line[0] not in arms]
    costs = list(cost_rows(records))
    parts = [*([markdown_apart(VALUES, values, with_data)] if values else []), *arm_tables(arms)]
    return "\n" + "\n".join([*parts, markdown(COSTS, costs) if costs else NO_COST]) + "\n"


def is_arm(result: Result) -> bool:
    """Whether a result is of one arm among several that a study compares, and no figure of the paper's."""
    return result.arm_of is not None and result.reported is None


def arm_tables(arms: Iterable[Result]) -> Iterator[str]:
    """Markdown: the arms of each study below one another, a column a measure.

    Arms of other data have a table of their own, and so have measures of which not all arms have the same protocol:
    there each row names its own, since those of different protocols may not be ranked.
    """
    groups: dict[tuple[str | None, str], list[list[Result]]] = {}
    for arm in rows_of(arms):
        groups.setdefault((arm[0].arm_of, arm[0].data), []).append(arm)
    for (study, data), group in groups.items():
        title = f"Study `{study}` on {data}"
        apart = several_protocols(chain(*group))
        alike = [[result for result in row if result.measure not in apart] for row in group]
        if rows := [row for row in alike if row]:
            yield arm_table(rows, title=title)
        others = [[result for result in row if result.measure in apart] for row in group]
        if rows := [row for row in others if row]:
            yield arm_table(rows, title=f"{title}, to be ranked where the protocol is the same", each=True)


def rows_of(arms: Iterable[Result]) -> Iterator[list[Result]]:
    """The results of each arm; of one whose runs were measured under several protocols those of each for themselves."""
    for _, group in groupby(arms, key=lambda result: (result.arm_of, result.recipe, result.variant)):
        rows: list[dict[str | None, Result]] = []
        for result in group:
            row = next((row for row in rows if result.measure not in row), None)
            if row is None:
                rows.append(row := {})
            row[result.measure] = result
        yield from (list(row.values()) for row in rows)


def several_protocols(results: Iterable[Result]) -> set[str | None]:
    """The measures that have more than one."""
    protocols: dict[str | None, str | None] = {}
    return {
        result.measure for result in results if protocols.setdefault(result.measure, result.protocol) != result.protocol
    }


def arm_table(rows: Sequence[Sequence[Result]], *, title: str, each: bool = False) -> str:
    """Markdown: a row for each arm's measures, and their protocols: `each` row's own, or those of all below."""
    protocols = {result.measure or "": result.protocol or "" for row in rows for result in row}
    lines = []
    for row in rows:
        first, values = row[0], {result.measure: best_and_last(result) for result in row}
        images = "" if first.images is None else f"{first.images:,}"
        told = (name_of(first), images, span_of_seeds(first.seeds), ", ".join(first.commits))
        own = [" ".join(dict.fromkeys(result.protocol or "" for result in row))] if each else []
        lines.append((*told, *(values.get(measure, "") for measure in protocols), *own))
    note = ", 'best' and 'last' where they differ" if any(AND in cell for line in lines for cell in line) else ""
    head = ("arm", "images", "seed", "commit", *protocols, *["protocol"] * each)
    below = [] if each else [("protocol", "", "", "", *protocols.values())]
    return f"{title}{note}:\n\n{markdown(head, [*lines, *below])}"


def best_and_last(result: Result) -> str:
    """The value at the best checkpoint and at the end, where they are two."""
    values = [value for value in (result.best, result.last) if value is not None]
    return AND.join(dict.fromkeys(map(shown, values)))


def short_table(table: Sequence[Line]) -> str:
    """For README: without data, commit and command; beside the recipe some of what was set, the budget aside."""

    def row(line: Line) -> tuple[str, ...]:
        recipe, *values, _, protocol = cells(line)
        return (line[0].paper, recipe + in_few_words(line[0].settings), *values, protocol)

    head = ("paper", *(name for name in HEAD if name != "commit"))
    return f"\n{markdown_apart(head, table, row)}\n"


def in_few_words(settings: str) -> str:
    """Options as " `--model.width 32` and 5 more settings": as many as SHORT allows; docs/results.md has all."""
    shown: list[str] = []
    rest = [f"--{option}" for option in settings.strip().split("--")[1:]]
    while rest and len("".join([*shown, rest[0]])) <= SHORT:
        shown.append(rest.pop(0))
    told = f" `{''.join(shown).strip()}`" if shown else ""
    return told + (f" and {len(rest)} more setting{'s' * (len(rest) > 1)}" if rest else "")


def in_details(table: Sequence[Line]) -> str:
    """A table that the reader must open."""
    if not table:
        return ""
    rows = markdown(LONG, [with_command(line) for line in table])
    return f"<details><summary>Reported, not run here</summary>\n\n{rows}\n</details>\n\n"


def of_paper(table: Sequence[Line], folded: Sequence[Line], recipes: Mapping[str, Any], *, page: Path) -> str:
    """A paper's section of docs/results.md: its results, what each recipe in them is, and what was not run.

    Args:
        table: lines to show, at least one.
        folded: lines that the reader must open.
        recipes: of its script.
        page: of the paper, which says more, where it is there.
    """
    names = dict.fromkeys(line[0].recipe for line in table)
    notes = [f"- `{name}`: {recipes[name].summary}.\n" for name in names if name in recipes and name is not None]
    notes += [f"- More in [{page.name}]({page.name}#reported-and-reached).\n"] if page.is_file() else []
    shown = markdown_apart(LONG, table, with_command)
    return f"## {table[0][0].paper}\n\n{shown}\n{''.join(notes)}\n{in_details(folded)}"


# Which results.


def for_readme(reached: Sequence[Line], missing: Sequence[Line], recipes: Mapping[str, Any]) -> list[Line]:
    """README's lines of a paper, at most two: its first reported measures, in the order of its script's recipes.

    Where the first of them was not run, it stands alone beside the first that was: a reported one, else the Fréchet
    distance of an image run. A paper without reported measures has that distance alone.
    """
    order = list(recipes)

    def place(line: Line) -> int:
        return order.index(line[0].recipe) if line[0].recipe in order else len(order)

    reported = sorted((line for line in [*reached, *missing] if line[0].reported is not None), key=place)
    distances = sorted((line for line in reached if compared_by(line[0]) == "distance"), key=place)
    if reported and reported[0] in reached:
        return reported[:2]
    done = [line for line in reported if line in reached] + distances
    return (reported[:1] + done[:1]) or [*reached, *missing][:1]


def for_results(table: Sequence[Line]) -> list[Line]:
    """What docs/results.md and the script show of a paper's results; its page has all.

    The reported, and the distance and the score of all images, of stacked digits the modes too.

    Of a recipe in a study's variants alone these of its variants; of one without either (points in the plane) all but
    what merely describes; of a study's variants of a recipe that is shown, the reported alone.
    """

    def group(line: Line) -> tuple[str | None, str | None]:
        return line[0].recipe, line[0].study

    compared = [line for line in table if compared_by(line[0])]
    shown = {line for line in table if line[0].reported is not None or (line in compared and line[0].variant is None)}
    alone = {group(line) for line in compared} - {group(line) for line in shown}
    shown |= {line for line in compared if group(line) in alone}
    done = {group(line) for line in shown}
    others = {line for line in table if (line[0].recipe, line[0].study) not in done}
    return [line for line in table if line in shown or (line in others and not describes(line[0]))]


def compared_by(result: Result) -> str:
    """Whether a result is the "distance", the "score" or the "modes" that runs on images are compared by."""
    return MEASURES.compared_by(result.measure or "")


def describes(result: Result) -> bool:
    """Whether neither low nor high values are better."""
    return MEASURES.better(result.measure or "") == "neither"


# What runs cost.


def cost_rows(records: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, ...]]:
    """One row for all runs of a recipe with the same settings on the same hardware, in the order of COSTS."""
    alike: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        recipe = record["recipe"] + overrides(record, leave_out=NOT_A_COST)
        alike.setdefault((recipe, record["precision"], hardware(record)), []).append(record)
    for (recipe, precision, machine), runs in alike.items():
        yield (
            recipe,
            str(len(runs)),
            span([run["images_seen"] for run in runs]),
            span([round(run["images_per_second"]) for run in runs]),
            " to ".join(map(duration, ends([run["wall_time_s"] for run in runs]))),
            precision,
            machine,
        )


def ends(values: Sequence[float]) -> list[float]:
    """The smallest and the largest; one value where they are the same."""
    return sorted({min(values), max(values)})


def span(values: Sequence[int]) -> str:
    """Whole numbers as "252 to 394"."""
    return " to ".join(f"{value:,}" for value in ends(values))
