"""docs/benchmark.md, written from the committed records. No number in it is typed by hand. No torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from zoo.commands.benchmark.cells import direction
from zoo.commands.benchmark.members import MEASURED
from zoo.commands.benchmark.record import PLACE, BenchmarkRecord, labelled, read_record, shared
from zoo.commands.benchmark.search import chosen, in_words, ranged
from zoo.commands.benchmark.tables import CLOCK_TITLES, clocks_of, figure_names, short, tables
from zoo.errors import ZooError
from zoo.runs.folder import write_atomically
from zoo.runs.statistics import Interval, probability_of_improvement, ranks
from zoo.runs.tables import in_markdown

PAGE = Path("docs/benchmark.md")
HEAD = """# Which objective? The same networks, data and budget for all

Written by `zoo benchmark --write` from the records in `{place}`; nothing here is typed by hand.

Each objective is its paper's own loss code on one pair of networks, DCGAN's for 32x32 images, without BatchNorm in D
unless a heading says so. The objectives are in [zoo/models/objectives.py](../zoo/models/objectives.py), their settings
in [reproductions/benchmark.py](../reproductions/benchmark.py). What differs between two members stands in their labels;
of `robustness`, which draws settings at random, the ranges stand in that script.

```
zoo benchmark --preset digits --jobs 2          # eleven objectives, three seeds, no download
zoo benchmark --preset mnist --data_dir DIR     # killed and given again, it goes on
zoo benchmark --preset digits --status          # what there is so far
zoo benchmark --preset mnist --data_dir DIR --earlier RECORD --keep    # on another machine: what the record lacks
```

How to read the tables: a Fréchet distance is of features of the network in its name and is lower for better samples; it
compares rows of one table alone. `runs` counts all members. One that collapsed is in every number. One that diverged
has no values: it counts as the worst in interquartile means, ranks and probabilities, as its untrained network in
searches, and means with a standard deviation are without it. Members that failed, were stopped, are running or missing
are in no number.

Limits: these are small networks and small budgets, and each objective has one setting of its hyperparameters (but for
`robustness`). A rank says which objective to try first at this size, not which is best at another.
"""
#: Data sets that are not their authors' own files, by fingerprint.
COPIES = {
    "7d5590075d133f91d214b8ba9526a2887bef3bdb1187ce6da1802bde63ace660": "re-encoded as JPEG, quality about 75",
}
EVIDENT = 0.95  # probability of improvement from which a sentence calls one objective ahead of another
NAMED = 9  # members of one state that a sentence names
FEWEST = 3  # runs a side that can tell: of two and two, all pairs agree by luck in one case of three


def write(root: Path) -> list[Path]:
    """Writes the page and its figures; the files that changed.

    Raises:
        ZooError: no committed record.
    """
    files = sorted((root / PLACE).glob("*.json"))
    if not files:
        raise ZooError(
            f"{root / PLACE} holds no record of a benchmark: `zoo benchmark --preset NAME --keep` puts one there"
        )
    records = [read_record(file) for file in files]
    before = {file: file.read_bytes() for file in (root / PLACE).glob("*.png")}
    drawn = [file for record in records for file in draw(record, root / PLACE)]
    changed = [file for file in drawn if file.read_bytes() != before.get(file)]
    text = page(records)
    path = root / PAGE
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
        changed.append(path)
    return changed


def draw(record: BenchmarkRecord, folder: Path) -> list[Path]:
    """The figures of a record, NAME-FIGURE.png in a folder."""
    from zoo.commands.benchmark.figures import figures  # these bring torch and matplotlib
    from zoo.experiments.pictures.drawing import write as write_figures

    return write_figures(((f"{record.name}-{name}", drawing) for name, drawing in figures(record)), folder)


def page(records: list[BenchmarkRecord]) -> str:
    """The page: what came out of each benchmark in a line, then each in full."""
    short = [f"- [{record.name}](#{record.name}): {next(findings(record))}" for record in records]
    summary = "\n".join(["In short:", "", *short, ""])
    return "\n".join([HEAD.format(place=PLACE), *([summary] if len(records) > 1 else []), *map(section, records)])


def section(record: BenchmarkRecord) -> str:
    """One benchmark: what came out of it in words, figures, tables, the members' settings."""
    runs = sorted({len(members) for members in record.groups.values()})
    each = " to ".join(str(n) for n in dict.fromkeys((runs[0], runs[-1])))
    size = f"{len(record.groups)} group{'s' * (len(record.groups) > 1)} of {each} run{'s' * (runs[-1] > 1)}"
    about = f"{record.summary[0].upper()}{record.summary[1:]}: {size}.{copy_of(record)}{options_of(record)}"
    parts = [f"## {record.name}", about, *findings(record)]
    place = os.path.relpath(PLACE, PAGE.parent)
    for name, caption in captions(record):
        parts.append(f"![{caption}]({place}/{record.name}-{name}.png)\n\n*{caption}*")
    parts += [in_markdown(table) for table in tables(record)]
    return "\n\n".join(parts) + "\n"


def options_of(record: BenchmarkRecord) -> str:
    """A sentence on the options that all members had beside the recipe's settings and their own; "" where none had."""
    trained = [shared(m, m.record) for m in record.members if m.state in MEASURED and m.record is not None]
    found = [f"{name} {value}" for name, value in (trained or [{}])[0].items() if name.startswith("--")]
    return f" Unlike the recipe, all have `{' '.join(found)}`." if found else ""


def copy_of(record: BenchmarkRecord) -> str:
    """A sentence on images that are not the data set's own; "" of those that are."""
    trained = [member.record for member in record.members if member.record is not None]
    found = {told for run in trained if (told := COPIES.get(run["dataset"]["fingerprint"]))}
    return "".join(f" Its images here are {told}." for told in found)


def captions(record: BenchmarkRecord) -> Iterator[tuple[str, str]]:
    """Name and caption of each figure."""
    setting, choice = ranged(record), chosen(record)
    *first, last = (CLOCK_TITLES[clock] for clock in clocks_of(record))
    known = {
        "search": f"{record.measure} of the best of k runs with settings drawn at random, with 95 % intervals. A run "
        "that diverged counts as its untrained network.",
        "settings": f"What came out at each {setting}: a mark for each run"
        + (f", filled where {choice} has its lowest value" if choice else "")
        + "; one that diverged is at the edge.",
        "curves": f"{record.curve} over {', '.join(first)} and {last}: the mean over the seeds that were trained to "
        "their end, and from the lowest to the highest of them. Where none was, those that were begun."
        + (" Wall time is at each objective's undisturbed pace." if "seconds" in clocks_of(record) else ""),
        "heat": "The interquartile mean of each measure at the end of training, runs that diverged counted as the "
        "worst, shaded by its rank: dark is better.",
        "samples": "Samples of one seed of each objective at the end, at equal images seen.",
    }
    yield from ((name, known[name]) for name in figure_names(record))


def findings(record: BenchmarkRecord) -> Iterator[str]:
    """What the numbers say, in sentences made of them."""
    values = {label: found for label in record.groups if (found := record.values(label))}
    places = ranks(values, better=direction(record.measure))
    if len(places) > 1:
        yield ranking(record, values, places)
    if mattered := in_words(record):
        yield mattered
    if conditional := labelled(record):
        yield f"{', '.join(conditional)}: told the labels of the images, and sampled with labels drawn uniformly."
    bad = {
        state: [m.name for m in record.members if m.state == state]
        for state in ("collapsed", "diverged", "failed", "running", "stopped", "missing", "other settings")
    }
    done = sum(member.state in MEASURED for member in record.members)
    told = [
        f"{len(found)} {state}" + (f" ({', '.join(found)})" if len(found) <= NAMED else "")
        for state, found in bad.items()
        if found
    ]
    yield f"{done} of {len(record.members)} runs were trained to their end" + (f"; {'; '.join(told)}." if told else ".")


def ranking(record: BenchmarkRecord, values: Mapping[str, Sequence[float]], places: Mapping[str, Interval]) -> str:
    """Which group comes first, which it is ahead of, and which it is not told apart from."""
    order = sorted(places, key=lambda label: places[label].value)
    names = {label: short(record, label) for label in order}
    beginning = f"By {record.measure} at the end of training,"
    so_far = f"of the {len(order)} groups (of {len(record.groups)}) that have results so far"
    among = f" {so_far}" if len(order) < len(record.groups) else ""
    best = [label for label in order if places[label].value == places[order[0]].value]
    if len(best) > 1:
        return f"{beginning} {', '.join(names[label] for label in best)} share the first place{among}."
    behind: list[str] = []
    level: list[str] = []
    few: list[str] = []
    for other in order[1:]:
        chance = probability_of_improvement(values[best[0]], values[other], better=direction(record.measure)).value
        enough = min(len(values[best[0]]), len(values[other])) >= FEWEST
        (few if not enough else behind if chance >= EVIDENT else level).append(names[other])
    told = [f"{beginning} {names[best[0]]} comes first{among}."]
    told += [f"At least 95 % of its pairs of runs beat {', '.join(behind)}."] if behind else []
    told += [f"Against {', '.join(level)} the runs overlap: that difference may be luck."] if level else []
    told += [f"Against {', '.join(few)} there are too few runs to tell."] if few else []
    return " ".join(told)
