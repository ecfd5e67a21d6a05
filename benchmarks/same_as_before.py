"""Whether two checkouts do the same, to the bit: for changes that move code and shall change nothing.

    python benchmarks/same_as_before.py OLD NEW [--data_dir DIR] [--only steps,resume] [--papers gan] [--all]

- steps: one batch and six of each paper from a fixed seed, six of further recipes: hash of weights, optimizers, random
  states.
- resume: runs begun by OLD and gone on with by both: the same hash, and the losses in metrics.jsonl.
- records: what NEW prints of OLD's committed records (`zoo records`, `zoo reached`).
- protocols: `fit` with evaluations, then `test`, of each paper in small: every value and protocol of the record. Then
  runs by NEW alone of the recipes of OLD's committed records, in small networks but under the full protocols, against
  the protocols that the records hold (`--data_dir` names the folder of MNIST; toy data and digits need none).
- releases: what `zoo verify` prints (minutes). reproduce: `make reproduce`'s figures (minutes).

Both run on one thread of the CPU, and OLD is only read. Each needs a Python of its own (.venv, or --old_python and
--new_python). Ends with status 1 if anything differs; what differs is listed below the table. Needs half an hour of one
core without the last two parts, which --all adds: five minutes for steps, five for resume, the rest for protocols.
"""

import argparse
import difflib
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Container, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from small_runs import FIRST_STEPS, SMALL, WARM_START, Run
from two_checkouts import Checkout, CommandError, differences, digest, record_of, rows_of, state_of

PARTS = ("steps", "resume", "records", "protocols")
LONG = ("releases", "reproduce")
LENET = ["--evaluation.extractors", "[lenet]"]
FEW = ["--evaluation.samples", "100", "--evaluation.test_samples", "120", "--evaluation.real_images", "500"]
EACH_PAPER = {name: run for name, run in FIRST_STEPS.items() if name == run.paper}
OTHERS_WITHOUT_FILES = {name: run for name, run in FIRST_STEPS.items() if name != run.paper and not run.needs_data}
#: Part of a protocol that depends on how long a run trained.
LENGTH_OF_RUN = ("generator_updates",)
#: Measures that a run takes only after many evaluations.
OF_LONG_RUNS = "test/wasserstein_spearman_"
#: A key of the first record of all, from before keys were hashes.
NO_HASHES = ("gan-1",)


class Row(NamedTuple):
    """A line of the table; details say how `before` and `after` differ."""

    what: str
    paper: str
    before: str
    after: str
    details: list[str]

    @property
    def same(self) -> bool:
        return self.before == self.after

    def line(self) -> str:
        return f"| {self.what} | {self.paper} | {self.before} | {self.after} | {'same' if self.same else 'DIFFERS'} |"


class Task(NamedTuple):
    """What is done next, and how it is called where it fails."""

    what: str
    paper: str
    work: Callable[[], list[Row]]


class Pair(NamedTuple):
    """Both checkouts, a folder for what they leave, and the folder of the data sets."""

    old: Checkout
    new: Checkout
    work: Path
    data: Path | None

    def sides(self) -> Iterator[tuple[Checkout, Path]]:
        """Each checkout with a folder of its own."""
        yield from ((self.old, self.work / "old"), (self.new, self.work / "new"))

    def data_of(self, run: Run) -> list[str]:
        """The options that a run on files needs."""
        return ["--data_dir", str(self.data)] if run.needs_data else []

    def runs(self, table: dict[str, Run]) -> Iterator[tuple[str, Run]]:
        """Those whose data are at hand."""
        yield from ((name, run) for name, run in table.items() if self.data or not run.needs_data)


def compared(what: str, paper: str, values: list[Any], *, note: str = "") -> Row:
    """A row of two nests of tensors and plain values."""
    before, after = (digest(value) + note for value in values)
    return Row(what, paper, before, after, [] if before == after else differences(*values))


# --- the parts: each gives its tasks, and a task gives rows ---


def steps(pair: Pair) -> Iterator[Task]:
    """The first updates of each paper."""
    for batches in (1, 6):
        for name, run in pair.runs(FIRST_STEPS if batches > 1 else EACH_PAPER):
            yield Task(f"steps: {name}", run.paper, partial(first_batches, pair, name, run, batches=batches))
    yield Task("steps: warm start", "wgan", partial(first_batches, pair, "wgan warm start", WARM_START, batches=105))


def first_batches(pair: Pair, name: str, run: Run, *, batches: int) -> list[Row]:
    """The state after so many batches."""
    states = []
    for checkout, folder in pair.sides():
        here = folder / f"steps/{name}-{batches}"
        checkout.script(run.paper, *run.fit(here, batches=batches, more=pair.data_of(run)))
        states.append(state_of(here / "checkpoints/last.ckpt"))
    return [compared(f"steps: {batches} batch{'es' * (batches > 1)}", name, states)]


def resume(pair: Pair) -> Iterator[Task]:
    """OLD begins, and both go on."""
    for name, run in SMALL.items():
        yield Task(f"resume: {name}", run.paper, partial(both_halves, pair, name, run))


def both_halves(pair: Pair, name: str, run: Run) -> list[Row]:
    """50 batches by OLD, then as many by both: enough for two points of losses in the log."""
    begun = pair.work / "begun" / name
    pair.old.script(run.paper, *run.fit(begun, batches=50, more=[]))
    states, logs = [], []
    for checkout, folder in pair.sides():
        here = folder / "resume" / name
        shutil.copytree(begun, here)
        checkout.script(run.paper, *run.resume(here, batches=100))
        states.append(state_of(here / "checkpoints/last.ckpt"))
        logs.append(rows_of(here))
    rows = compared("resume: metrics.jsonl", name, logs, note=f" of {len(logs[0])} rows")
    return [compared("resume: state", name, states), rows]


def records(pair: Pair) -> Iterator[Task]:
    """OLD's committed records as both print them."""
    for command in ("records", "reached"):
        yield Task(f"zoo {command}", "all", partial(printed_records, pair, command))


def printed_records(pair: Pair, command: str) -> list[Row]:
    """What a command prints of the same records, each checkout with its own scripts."""
    prints = []
    for checkout, folder in pair.sides():
        root = folder / command / "reproductions"
        shutil.copytree(checkout.folder / "reproductions", root, ignore=shutil.ignore_patterns("records"))
        shutil.copytree(pair.old.folder / "reproductions/records", root / "records")
        where = [str(root / "records")] if command == "records" else ["--root", str(root.parent)]
        prints.append(checkout.zoo(command, *where).out.replace(str(root), "reproductions"))
    return [of_texts(f"records: zoo {command}", prints)]


def of_texts(what: str, texts: list[str]) -> Row:
    """A row of two printed texts."""
    before, after = (f"{hashlib.sha256(t.encode()).hexdigest()[:12]} of {len(t.splitlines())} lines" for t in texts)
    details = list(difflib.unified_diff(*(text.splitlines() for text in texts), lineterm="", n=0))
    return Row(what, "all", before, after, details[2:14])


def protocols(pair: Pair) -> Iterator[Task]:
    """Evaluations in small, then the protocols of the committed records."""
    for name, run in {**{name: SMALL[name] for name in EACH_PAPER}, **OTHERS_WITHOUT_FILES}.items():
        yield Task(f"protocols: {name}", run.paper, partial(evaluated, pair, name, run))
    seen: set[str] = set()
    for file in sorted((pair.old.folder / "reproductions/records").glob("*.json")):
        yield Task(f"keys: {file.stem}", file.stem.split("-")[0], partial(keys_of, file))
        for label, record in records_in(file):
            content = digest([record["paper"], by_measure(record)])
            if content not in seen and (pair.data or not on_files(record)):
                seen.add(content)
                yield Task(f"protocols: {label}", record["paper"], partial(taken_again, pair, label, record))


def evaluated(pair: Pair, name: str, run: Run) -> list[Row]:
    """All that a run with three evaluations, and its `test`, leave in result.json and metrics.jsonl.

    Fields of the record that OLD did not know yet are passed over.
    """
    found = []
    for checkout, folder in pair.sides():
        here = folder / "protocols" / name
        every = ["--evaluation.every", str(6 * run.batch)]
        checkout.script(run.paper, *run.fit(here, batches=12, more=[*every, *FEW, *LENET]))
        checkout.script(run.paper, "test", "--run_dir", str(here))
        found.append(record_of(here) | {"log": rows_of(here)})
    note = f" of {len(found[0]['tests'][0]['values'])} values, {len(found[0]['protocols'])} protocols"
    found[1] = {field: found[1].get(field) for field in found[0]}
    return [compared("protocols: fit and test", name, found, note=note)]


def taken_again(pair: Pair, label: str, record: dict[str, Any]) -> list[Row]:
    """The protocols of a committed record against those under which NEW takes the same measures."""
    run = Run(record["paper"], record["recipe"], [*options_of(record), *NARROW.get(record["paper"], [])], 64)
    here = pair.work / "committed" / label.replace(" ", "-")
    data = ["--data_dir", str(pair.data)] if on_files(record) else []
    every = ["--evaluation.every", "640"] if record["measures"] else []
    pair.new.script(run.paper, *run.fit(here, batches=10, more=[*every, *LENET, *data]))
    pair.new.script(run.paper, "test", "--run_dir", str(here))
    wanted, taken = by_measure(record), by_measure(json.loads((here / "result.json").read_text()))
    missing = [name for name in wanted if name not in taken and name.startswith(OF_LONG_RUNS)]
    values = [{name: of[name] for name in wanted if name in of and name not in missing} for of in (wanted, taken)]
    hashes = sorted({hash_of(protocol) for protocol in values[0].values()})
    note = f": {' '.join(hashes)} of {len(values[0])} measures"
    note += f" (too short a run for {', '.join(missing)})" if missing else ""
    return [compared("protocols: committed, taken again", label, values, note=note)]


#: Small networks for the committed recipes; of weights, a protocol says nothing.
NARROW = {
    "dcgan": ["--model.width", "4"],
    "lsgan": ["--model.width", "4"],
    "wgan": ["--model.width_G", "4", "--model.width_D", "4", "--model.warm_start", "false"],
    "pggan": ["--model.fmap_max", "8"],
    "stylegan": ["--model.fmap_max", "8"],
}


def records_in(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The record in a committed file, or those of a study, each with a label."""
    content = json.loads(file.read_text())
    if "study" in content:
        yield from ((f"{file.stem} {member}", record) for member, record in content["records"].items())
    else:
        yield file.stem, content


def keys_of(file: Path) -> list[Row]:
    """The keys of the protocols in a committed file beside their hashes, computed here."""
    found = [item for _, record in records_in(file) for item in record["protocols"].items()]
    kept = [(key, protocol) for key, protocol in found if key not in NO_HASHES]
    values = [[key for key, _ in kept], [hash_of(protocol) for _, protocol in kept]]
    return [compared("protocols: keys are hashes", file.stem, values, note=f" of {len(kept)} keys")]


def hash_of(protocol: dict[str, Any]) -> str:
    """The hash of a protocol by its definition: of canonical JSON."""
    text = json.dumps(protocol, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def by_measure(record: dict[str, Any]) -> dict[str, Any]:
    """The protocol of each measure, the last one where it was taken under several, but for the length of the run."""
    keys = {name: measure["protocol"] for name, measure in record["measures"].items()}
    for test in record["tests"]:
        keys |= {f"test/{name}": key for name, key in test["protocols"].items()}
    whole = {name: record["protocols"][key] for name, key in keys.items()}
    return {name: {k: v for k, v in fields.items() if k not in LENGTH_OF_RUN} for name, fields in whole.items()}


def options_of(record: dict[str, Any]) -> list[str]:
    """The options of a record's first command that say what was trained, on what, and how it was measured."""
    words = [part for word in record["commands"][0] for part in (word.split("=", 1) if word[:2] == "--" else [word])]
    kept = []
    for name, value in pairwise(words):
        if name.startswith(("--data.", "--model.", "--evaluation.")) and name != "--evaluation.every":
            kept += [name, value]
    return kept


def on_files(record: dict[str, Any]) -> bool:
    """Whether a record's data set is one of files."""
    return not record["dataset"]["name"].startswith(("ToyPoints", "Digits"))


def releases(pair: Pair) -> Iterator[Task]:
    """What both say of the releases."""
    yield Task("zoo verify", "all", partial(verified, pair))


def verified(pair: Pair) -> list[Row]:
    """What `zoo verify` prints."""
    data = ["--data_dir", str(pair.data)] if pair.data else []
    return [of_texts("releases: zoo verify", [side.zoo("verify", *data).out for side in (pair.old, pair.new)])]


def reproduce(pair: Pair) -> Iterator[Task]:
    """The project's first example in full."""
    yield Task("make reproduce", "dcgan", partial(first_example, pair))


def first_example(pair: Pair) -> list[Row]:
    """Every figure in its log."""
    logs = []
    for checkout, folder in pair.sides():
        checkout.script("dcgan", "fit", "--recipe", "digits", "--run_dir", str(folder / "reproduce"))
        logs.append(rows_of(folder / "reproduce"))
    return [compared("reproduce: metrics.jsonl", "dcgan", logs, note=f" of {len(logs[0])} rows")]


def rows_of_tasks(tasks: Iterator[Task], *, papers: Container[str]) -> Iterator[Row]:
    """Does those of some papers (or all, if none is named); a command that fails is a row that differs."""
    for task in tasks:
        if papers and task.paper not in papers:
            continue
        try:
            yield from task.work()
        except CommandError as error:
            yield Row(task.what, task.paper, "", "failed", str(error).splitlines())


def main() -> None:
    """Prints the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--old_python", type=Path, help="default: OLD/.venv/bin/python")
    parser.add_argument("--new_python", type=Path, help="default: NEW/.venv/bin/python")
    parser.add_argument("--data_dir", type=lambda text: Path(text).resolve(), help="folder of MNIST and CIFAR-10")
    parser.add_argument("--only", help=f"parts, with commas between: {', '.join([*PARTS, *LONG])}")
    parser.add_argument("--papers", type=lambda text: text.split(","), default=[], help="these alone: gan,dcgan")
    parser.add_argument("--all", action="store_true", help="the parts that take minutes, too")
    arguments = parser.parse_args()
    asked = arguments.only.split(",") if arguments.only else [*PARTS, *LONG * arguments.all]
    if unknown := set(asked) - {*PARTS, *LONG}:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    parts = {part.__name__: part for part in (steps, resume, records, protocols, releases, reproduce)}
    different: list[Row] = []
    count = 0
    with (
        tempfile.TemporaryDirectory() as work,
        Checkout(arguments.old, python=arguments.old_python, work=Path(work) / "old") as old,
        Checkout(arguments.new, python=arguments.new_python, work=Path(work) / "new") as new,
    ):
        print("| what | paper | before | after | same |\n|---|---|---|---|---|")
        for name in asked:
            tasks = parts[name](Pair(old, new, Path(work), arguments.data_dir))
            for row in rows_of_tasks(tasks, papers=arguments.papers):
                print(row.line(), flush=True)
                count += 1
                different += [row] * (not row.same)
    print(f"\n{count - len(different)} of {count} are the same")
    for row in different:
        print("\n  ".join([f"{row.what}, {row.paper}:", *row.details]))
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
