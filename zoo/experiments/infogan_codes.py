"""The error of InfoGAN's categorical code over seeds: how it is distributed, and what moves it (section 7.2).

Chen et al. 2016 report 5 % and neither how many runs it is the best of nor which images it is of.
"""

from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import TYPE_CHECKING

import numpy as np

from zoo.experiments.pictures.drawing import GREY, SERIES, Drawings, new_figure, series
from zoo.models.trained import FinishedRun
from zoo.runs.study import comparable, values_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAPER, REPORTED = "paper", 0.05
AT_REPORTED = 0.055  # what rounds to 5 %


def arms_of(runs: Mapping[str, FinishedRun]) -> dict[str, dict[str, FinishedRun]]:
    """Members named ARM-seedN as {ARM: {N: run}}, in the order in which they stand."""
    arms: dict[str, dict[str, FinishedRun]] = {}
    for name, run in runs.items():
        arm, _, seed = name.rpartition("-seed")
        arms.setdefault(arm, {})[seed] = run
    return arms


def errors_of(runs: Mapping[str, FinishedRun]) -> list[float]:
    """The last checkpoints' errors, of the runs that have one; none where protocols differ."""
    records = [run.record for run in runs.values()]
    return values_of(records, "code_error", checkpoint="last") if comparable(records, "code_error") else []


def runs_needed(errors: Sequence[float]) -> dict[str, float]:
    """How many of some runs are as good as reported, and how many runs one has to make to see one that is.

    Returns:
        `runs` and `runs_at_5_percent`, their numbers; `runs_needed_at_least` and `runs_needed_at_most`, one over the
        ends of the share's exact 95 % interval (Clopper, Pearson 1934); the latter only where there was one.
    """
    from scipy.stats import binomtest

    found = sum(error < AT_REPORTED for error in errors)
    interval = binomtest(found, len(errors)).proportion_ci(0.95)
    counts = {"runs": float(len(errors)), "runs_at_5_percent": float(found), "runs_needed_at_least": 1 / interval.high}
    return counts | ({"runs_needed_at_most": 1 / interval.low} if found else {})


def difference(run: FinishedRun, other: FinishedRun) -> float | None:
    """The last error of a run minus that of another after as many images, or at its end; None where there is none."""
    (images, errors), (others, values) = (series(one.rows, "code_error") for one in (run, other))
    if not len(images) or not len(others):
        return None
    there = values[others == min(images[-1], others[-1])]
    return float(errors[-1] - there[-1]) if len(there) else None


def code_findings(runs: Mapping[str, FinishedRun]) -> dict[str, float]:
    """Of each arm the best, median and worst error and `runs_needed`; its mean difference from the paper's settings.

    The difference is over the seeds that both have, which share the first weights, and after as many images (of a
    longer arm: from the end of the other).
    """
    arms = arms_of(runs)
    found: dict[str, float] = {}
    for arm, members in arms.items():
        errors = errors_of(members)
        if errors:
            spread = {"median": median(errors), "best": min(errors), "worst": max(errors)}
            found |= {f"code_error {name}, {arm}": value for name, value in spread.items()}
            found |= {f"{name}, {arm}": value for name, value in runs_needed(errors).items()}
        both = [(run, arms[PAPER][seed]) for seed, run in members.items() if seed in arms.get(PAPER, {})]
        differences = [value for run, other in both if (value := difference(run, other)) is not None]
        if arm != PAPER and differences:
            found[f"code_error minus that of the paper's settings, {arm}"] = mean(differences)
            found[f"seeds in common, {arm}"] = float(len(differences))
    return found


def code_figures(runs: Mapping[str, FinishedRun]) -> Drawings:
    """`code_errors`: each run's error at its end, by arm; the paper's settings' error while they train, of the runs
    whose logs are there."""
    arms = arms_of(runs)
    figure, [[left, right]] = new_figure(1, 2, width=9.6, height=3.6)
    for i, members in enumerate(arms.values()):
        draw_arm(left, i, errors_of(members), colour=SERIES[i % len(SERIES)])
    left.set_xticks(range(len(arms)), [title_of(arm, [*members.values()]) for arm, members in arms.items()], fontsize=6)
    left.set_ylabel("code_error, test images")
    members = arms.get(PAPER, {})
    found = {seed: series(run.rows, "code_error") for seed, run in members.items()}
    lines = {seed: line for seed, line in found.items() if len(line[0])}
    for images, errors in lines.values():
        right.plot(images, errors, color=SERIES[0], linewidth=0.8)
    of = "" if len(lines) == len(members) else f" (seed{'s' * (len(lines) > 1)} {', '.join(lines)})"
    right.set_xlabel(f"real images seen, the paper's settings{of}")
    for ax in (left, right):
        ax.axhline(REPORTED, color="black", linewidth=0.8, linestyle="--")
        ax.set_ylim(0, None)
    right.annotate("reported", (0.99, REPORTED), xycoords=("axes fraction", "data"), xytext=(0, 3),
                   textcoords="offset points", ha="right", fontsize=8)  # fmt: skip
    yield "code_errors", figure


def title_of(arm: str, runs: Sequence[FinishedRun]) -> str:
    """An arm's name, its number of seeds and its length."""
    name, images = arm.replace("_", " "), runs[0].record["images_seen"]
    return f"{name}\n{len(runs)} seed{'s' * (len(runs) > 1)}\n{images:,} images"


def draw_arm(ax: "Axes", x: int, errors: Sequence[float], *, colour: str) -> None:
    """The errors of an arm as dots in a column, and their median as a line; nothing where none was taken."""
    if not errors:
        return
    shifts = np.linspace(-0.18, 0.18, len(errors)) if len(errors) > 1 else np.zeros(1)
    ax.scatter(x + shifts, errors, s=14, color=colour, zorder=3)
    ax.hlines(median(errors), x - 0.3, x + 0.3, color=GREY, linewidth=1.2)
