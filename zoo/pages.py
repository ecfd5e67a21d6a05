"""What the pages in docs/ say of runs, out of the committed records: a paper's figures, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.compare.text import duration

if TYPE_CHECKING:
    from zoo.reached import Row

FIGURES = ("recipe", "data", "measure", "reported", "best", "last", "images", "seed", "commit", "protocol")
COSTS = ("recipe", "runs", "images", "images/s", "wall time", "precision", "hardware")
NO_COST = "No run is recorded yet, and so no cost.\n"


def page_tables(table: Sequence[Row], records: Iterable[Mapping[str, Any]]) -> str:
    """Markdown: a paper's reported and reached figures, and the cost of its runs, evaluations included.

    Args:
        table: the rows of this paper, reached or not run.
        records: of this paper's runs, those of studies too.
    """
    figures = [(row.cells[0], row.data, *row.cells[1:]) for row in table]
    costs = list(cost_rows(records))
    return f"\n{grid(FIGURES, figures)}\n" + (grid(COSTS, costs) if costs else NO_COST) + "\n"


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "".join("| " + " | ".join(line) + " |\n" for line in (head, ["---"] * len(head), *rows))


def cost_rows(records: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, ...]]:
    """One row for all runs of a recipe with the same settings on the same hardware, in the order of COSTS."""
    alike: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        recipe = record["recipe"] + set_beside(record, leave_out=("--images", "--trainer.precision"))
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


def set_beside(record: Mapping[str, Any], *, leave_out: Sequence[str] = ()) -> str:
    """What was set beside the recipe, in all `fit` commands of a run together: " --images 200 --model.width 32".

    Folders, time limits and what only looks on (evaluations, checkpoints, loggers) are left out, and `leave_out`.
    """
    found: dict[str, str] = {}
    for _, _, subcommand, *arguments in record["commands"]:
        for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
            name, is_set, value = argument.partition("=")
            if subcommand == "fit" and name.startswith("--"):
                found[name] = value if is_set else following
    unchanged = ("--recipe", "--data_dir", "--run_dir", "--ckpt_path", "--seed_everything", "--devices", "--wandb")
    looking_on = ("--evaluation.", "--keep.", "--trainer.max_time", "--trainer.devices", "--trainer.logger")
    names = [name for name in found if name not in (*unchanged, *leave_out) and not name.startswith(looking_on)]
    return "".join(f" {name} {found[name]}" for name in names)


def hardware(record: Mapping[str, Any]) -> str:
    """The GPUs of a run; without any, its processor."""
    from zoo.compare.comparison import cores

    there = record["hardware"]
    return ", ".join(there["gpus"]) or f"{there['cpu']}, {cores(there['cores'])}"


def ends(values: Sequence[float]) -> list[float]:
    """The smallest and the largest; one value where they are the same."""
    return sorted({min(values), max(values)})


def span(values: Sequence[int]) -> str:
    """Whole numbers as "252 to 394"."""
    return " to ".join(f"{value:,}" for value in ends(values))
