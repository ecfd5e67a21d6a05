"""A report at W&B, laid out by code: curves and samples by paper, and the table of best and last with protocols."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from zoo.commands.compare.comparison import best_cells
from zoo.commands.compare.runs import ComparedRun
from zoo.commands.wandb.push import GRID, require_wandb
from zoo.errors import RecordError
from zoo.experiments.measures import MEASURES
from zoo.models import MODELS
from zoo.runs.extras import require
from zoo.runs.tables import markdown, plain_in_markdown
from zoo.runs.text import number

if TYPE_CHECKING:
    from wandb_workspaces.reports import v2

LOSSES = ("loss_discriminator", "loss_generator")
TITLE = "GANs side by side"


def refuse_report() -> None:
    """Raises a ZooError where no report can be made, before anything is sent.

    Raises:
        UsageError: wandb-workspaces is not installed.
        RecordError: W&B is not installed, or offline.
    """
    require_wandb()
    require("wandb_workspaces", purpose="--report")
    from zoo.training.mirror import mode

    if mode() != "online":
        raise RecordError(
            "a report is made at W&B, which is not reached from here: set WANDB_API_KEY (or `wandb login`), and "
            "WANDB_MODE to nothing or online"
        )


def push_report(runs: Sequence[ComparedRun], *, project: str) -> str:
    """Saves a report on runs that are in a project; its URL. RecordError: W&B refuses."""
    import wandb

    try:
        entity = os.environ.get("WANDB_ENTITY") or str(wandb.Api().default_entity)
        saved = layout(runs, entity=entity, project=project).save()
    except Exception as error:  # of W&B, of its transport, of the layout's own checks
        raise RecordError(f"W&B took no report on {project}: {error or type(error).__name__}") from error
    return str(saved.url)


def layout(runs: Sequence[ComparedRun], *, entity: str, project: str) -> v2.Report:
    """The report, not saved: a table of all runs, then a section for each paper, which also shows later runs of it."""
    import wandb_workspaces.reports.v2 as wr

    blocks: list[Any] = [wr.TableOfContents(), wr.H1("Best and last"), wr.MarkdownBlock(table(runs))]
    papers = list(dict.fromkeys(run.paper for run in runs))
    if len(papers) > 1:
        every = wr.Runset(
            entity=entity, project=project, name="all papers", groupby=["group"]
        )  # a run's group: its paper
        blocks += [wr.H1("The papers side by side"), wr.PanelGrid(runsets=[every], panels=charts(runs, y=0))]
    for paper in papers:
        own = [run for run in runs if run.paper == paper]
        title = MODELS[paper].reference.short if paper in MODELS else paper
        runset = wr.Runset(entity=entity, project=project, name=paper, filters=f"Group = '{paper}'")
        blocks += [wr.H1(f"{paper}: {title}"), wr.PanelGrid(runsets=[runset], panels=panels(own))]
    return wr.Report(
        project=project,
        entity=entity,
        title=TITLE,
        description="Written by zoo wandb-push --report. Figures of different protocols may not be ranked.",
        blocks=blocks,
        width="fluid",
    )


def panels(runs: Sequence[ComparedRun]) -> list[Any]:
    """Samples of the same latents, run by run below each other and time to the right; then the charts."""
    import wandb_workspaces.reports.v2 as wr

    samples = wr.MediaBrowser(
        title="Samples of the same latents",
        media_keys=[GRID],
        mode="grid",
        grid_x_axis="step",
        grid_y_axis="run",
        layout=wr.Layout(x=0, y=0, w=24, h=12),
    )
    return [samples, *charts(runs, y=12)]


def charts(runs: Sequence[ComparedRun], *, y: int) -> list[Any]:
    """A chart for each measure and one of the losses, over images seen, three in a row from `y` on."""
    import wandb_workspaces.reports.v2 as wr

    shown = [*([name] for name in curves(runs)), list(LOSSES)]
    return [
        wr.LinePlot(
            title=", ".join(names),
            x="images_seen",
            y=names,
            layout=wr.Layout(x=8 * (i % 3), y=y + 6 * (i // 3), w=8, h=6),
        )
        for i, names in enumerate(shown)
    ]


def curves(runs: Iterable[ComparedRun]) -> list[str]:
    """The measures that were taken while training, errors left out."""
    names = dict.fromkeys(name for run in runs for row in run.rows for name in row)
    return [name for name in names if MEASURES.find(name) is not None and not MEASURES.is_secondary(name)]


def table(runs: Iterable[ComparedRun]) -> str:
    """Markdown: of each run and measure the best and the last value while training, and those of `test`."""
    head, rows = ("run", "measure", "best", "at images seen", "last", "protocol"), []
    for run in runs:
        name = f"{run.paper} {run.recipe} {run.path.absolute().name}"
        for key, measure in run.measures.items():
            protocol = measure["protocol"] or "not recorded yet"
            rows.append([name, key, *best_cells(measure).values(), number(measure["last"]["value"]), protocol])
        for at, test in run.tests.items():
            if at not in ("best", "last"):
                continue
            for key, protocol in test["protocols"].items():
                value = number(test["values"].get(key))
                both = (value, "") if at == "best" else ("", value)
                rows.append([name, f"{key} (test)", both[0], f"{test['images_seen']:,}", both[1], protocol])
    return markdown(head, [list(map(plain_in_markdown, row)) for row in rows]).rstrip("\n")
