"""The measures that papers take of their own, beside the shared ones, and the table of all. No torch.

A paper's experiment (`zoo.experiments.<paper>`) takes them; a value that is not declared is refused where it is taken.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from zoo.runs.measures import SHARED, Measure, Measures
from zoo.runs.study import by_protocols, grouped, values_of
from zoo.runs.text import number

DCGAN = (Measure("error_1nn50k", "lower", "error of a 1-nearest-neighbour classifier fitted to 50,000 samples"),)
CGAN = (Measure("accuracy_lenet", "higher", "share of samples that the project's LeNet takes for their label"),)
INFOGAN = (
    Measure("mutual_information", "higher", "lower bound L_I of fakes, nats"),
    Measure("mutual_information_categorical", "higher", "its categorical part, nats"),
    Measure("code_error", "lower", "error of the first code as a classifier, categories matched one to one"),
    Measure("code_error_majority", "lower", "as code_error, each category as its most frequent class"),
    Measure("code_error_running", "lower", "as code_error, with the moving averages of BatchNorm"),
    Measure("code_error_batch", "lower", "as code_error, with BatchNorm statistics of each 125 test images"),
    Measure("code_classes", "higher", "classes that are the most frequent one of a category"),
)
WGAN = (
    Measure("wasserstein_estimate", "lower", "the critic's estimate at the end, filtered, in its own units"),
    Measure(
        "wasserstein_spearman",
        "higher",
        "rank correlation of the critic's estimate with a Frechet distance",
        names=r"wasserstein_spearman_\S+",
    ),
)
WGAN_GP = (
    Measure("critic_gradient_norm", "neither", "norm of the critic's gradient at interpolates", error="std"),
    Measure("critic_gap_train", "neither", "E D(x) - E D(G(z)) on training images"),
    Measure("critic_gap_validation", "neither", "E D(x) - E D(G(z)) on held-out images"),
)
STYLEGAN = (Measure("ppl", "lower", "perceptual path length", names=r"ppl_(?:full|end)_[wz]_\S+"),)

MEASURES = Measures([*SHARED, *DCGAN, *CGAN, *INFOGAN, *WGAN, *WGAN_GP, *STYLEGAN])


def with_error(name: str, values: Mapping[str, float]) -> str:
    """The value `name` of `values`, and its standard deviation or error where one was taken."""
    return number(values[name], MEASURES.error(name, values))


def measures_of(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the measures of `test`, errors left out, in the order they were taken."""
    names = dict.fromkeys(name for record in records for test in record["tests"] for name in test["values"])
    return [name for name in names if not MEASURES.is_secondary(name)]


def while_training(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The `measures` of a record. What merely describes has no best, though an older version took low values for it."""
    found = {name: dict(measure) for name, measure in record["measures"].items()}
    for name, measure in found.items():
        if MEASURES.better(name) == "neither":
            measure |= {"better": "neither", "best": measure["last"]}
    return found


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation over runs (n - 1); of one run, no deviation."""
    return mean(values), stdev(values) if len(values) > 1 else None


def study_table(record: Mapping[str, Any]) -> list[list[str]]:
    """Rows (group, measure, best, last, number of runs) of a study's record, then the findings."""
    rows = []
    for group, records in grouped(record).items():
        for measure, alike in ((of, runs) for of in measures_of(records) for runs in by_protocols(records, of)):
            best, last = (values_of(alike, measure, checkpoint=name) for name in ("best", "last"))
            told = [number(*mean_and_std(values)) if values else "" for values in (best, last)]
            if best or last:
                rows.append([group, measure, *told, str(len(last))])
    n = str(len(record["records"]))
    return rows + [["all", name, "", number(value, error), n] for name, value, error in findings_of(record)]


def findings_of(study: Mapping[str, Any]) -> Iterator[tuple[str, float, float | None]]:
    """Name, value and deviation (of a finding NAME that has a NAME_std beside it) of each finding of a study."""
    found = study["findings"]
    for name, value in found.items():
        if not (name.endswith("_std") and name.removesuffix("_std") in found):
            yield name, value, found.get(f"{name}_std")


def note_on(rows: Iterable[Sequence[str]]) -> str:
    """What a reader of `study_table` must know of measures that have several rows in a group; "" of none."""
    counts = Counter((group, measure) for group, measure, *_ in rows)
    several = [f"{measure} of {group}" for (group, measure), n in counts.items() if n > 1]
    return f"note: a row for each protocol, not to be compared: {', '.join(several)}" if several else ""
