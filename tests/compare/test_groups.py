"""Runs of equal settings as one: what is averaged, who is missing, and the tables as files."""

import csv
import re
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from made_runs import PROTOCOL, make_run

from zoo.__main__ import parser
from zoo.commands.compare.charts import Charts
from zoo.commands.compare.comparison import Comparison
from zoo.commands.compare.groups import Group, grouped
from zoo.commands.compare.page import page
from zoo.commands.compare.reading import read_runs
from zoo.commands.compare.text import as_text, tables, write_tables
from zoo.errors import RecordError, UsageError
from zoo.runs.folder import RunDir
from zoo.runs.lock import LOCK_FILE, RunLock
from zoo.runs.record import read_result, write_result
from zoo.runs.tables import PREAMBLE, Table, escaped, in_latex, plain_in_markdown

ENDS = (40.0, 44.0, 54.0)


def seeds(folder: Path, *, paper: str = "gan", ends: Sequence[float] = ENDS) -> list[Path]:
    """Runs that differ in their seed."""
    return [
        make_run(
            folder / f"{paper}{i}",
            paper=paper,
            seed=i,
            values={0: 600.0, 200: 2 * end, 400: end},
            tests={"best": end - 1, "last": end},
            model={"of": paper},
        )
        for i, end in enumerate(ends)
    ]


def comparison(*folders: Path) -> Comparison:
    runs, notes = read_runs(list(folders))
    return Comparison(grouped(runs), notes)


def test_means_deviations_and_bands(tmp_path: Path) -> None:
    seeds(tmp_path)
    make_run(tmp_path / "other", seed=0, model={"n_critic": 2})
    compared = comparison(tmp_path)
    assert [len(run.members) for run in compared.runs if isinstance(run, Group)] == [3, 1]
    assert all(label.startswith("gan digits") for label in compared.labels)
    group = compared.runs[0]
    assert (group.seeds, group.images_seen, group.generator_steps, group.wall_time) == ("0, 1, 2", 400, 40, 40.0)
    deviation = statistics.stdev(ENDS)
    assert [point.value for point in group.points("fd_lenet2k")] == [600, 2 * 46, 46]
    assert [point.error for point in group.points("fd_lenet2k")] == pytest.approx([0, 2 * deviation, deviation])
    assert [point.updates for point in group.points("fd_lenet2k")] == [0, 20, 40]
    assert compared.figures("fd_lenet2k")[0].cells["last"] == "46 +/- 7.2 (3)"
    assert compared.figures("fd_lenet2k")[1].cells["last"] == "60 (1/3)"  # other groups have three seeds
    assert [compared.tested["fd_lenet"][0].cells[at] for at in ("best", "last")] == ["45 +/- 7.2 (3)", "46 +/- 7.2 (3)"]
    assert "s" in Charts(compared).curve(0, group.points("fd_lenet2k"))
    assert [name for name, _ in compared.settings] == ["model.of", "model.n_critic"]  # no seeds


def test_running_stopped_failed_and_missing_members_are_counted_and_named(tmp_path: Path) -> None:
    whole = seeds(tmp_path, paper="wgan", ends=(1.0, 2.0, 3.0, 4.0, 5.0))
    gan = seeds(tmp_path, ends=(10.0, 12.0, 99.0, 99.0))
    for run in gan[2:]:
        (run / "result.json").unlink()
    (gan[3] / LOCK_FILE).touch()
    (tmp_path / "failures").mkdir()
    (tmp_path / "failures" / f"{gan[3].name}.txt").write_text("a loss became nan or infinite at 200 images\n")
    lock = RunLock(gan[2])
    lock.take()
    try:
        compared = comparison(*gan, *whole)
        state = compared.runs[0].state
    finally:
        lock.free()
    assert state == "2 finished, 1 running, 1 diverged, 1 missing"
    assert compared.runs[1].state == "5 finished"
    assert compared.figures("fd_lenet2k")[0].cells["last"] == "11 +/- 1.4 (2/5)"
    assert [point.value for point in compared.runs[0].points("fd_lenet2k")] == [600, 22, 11]
    told = [note.partition(": ")[2] for note in compared.run_notes if "not in its means" in note]
    assert told == [
        "not in its means: seed 2 is running",
        "not in its means: seed 3 is diverged",
        "not in its means: seed 4 is missing, which other groups have",
    ]
    (tmp_path / "failures" / f"{gan[3].name}.txt").write_text("there is no disk\n")
    assert comparison(*gan).runs[0].state == "2 finished, 1 stopped, 1 failed"


def test_a_group_that_has_not_ended_shows_how_far_all_its_members_are(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a", seed=0, finished=False, values={0: 6.0, 200: 5.0, 400: 4.0})]
    runs += [make_run(tmp_path / "b", seed=1, finished=False, values={0: 8.0, 200: 7.0})]
    (group,) = comparison(*runs).runs
    assert [(point.images_seen, point.value) for point in group.points("fd_lenet2k")] == [(0, 7.0), (200, 6.0)]
    assert group.state == "2 stopped"


def test_a_run_whose_paper_is_not_known_yet_joins_the_group_of_its_settings(tmp_path: Path) -> None:
    begun = make_run(tmp_path / "z", seed=9, model={"of": "gan"}, finished=False)
    (group,) = comparison(begun, *seeds(tmp_path)).runs
    assert (group.paper, group.seeds) == ("gan", "0, 1, 2, 9")


def test_values_that_are_not_finite_and_other_protocols_are_left_out_and_said(tmp_path: Path) -> None:
    runs = seeds(tmp_path)
    runs[2].rename(tmp_path / "gone")
    runs[2] = make_run(tmp_path / "gan2", seed=2, model={"of": "gan"}, protocol={**PROTOCOL, "n_fake": 9})
    compared = comparison(*runs, make_run(tmp_path / "twice", seed=0, model={"of": "gan"}))
    assert compared.figures("fd_lenet2k")[0].cells["last"] == "42 +/- 2.8 (2/3)"
    notes = "\n".join(compared.run_notes)
    assert "fd_lenet2k: seeds have several protocols, the means are of the one that most have" in notes
    assert "seed 0 is there more than once: twice is left out" in notes


def test_the_curve_of_a_group_is_of_the_protocol_that_its_means_are_of(tmp_path: Path) -> None:
    runs = seeds(tmp_path, ends=(40.0, 44.0))
    other = {**PROTOCOL, "n_fake": 9}
    runs.append(
        make_run(tmp_path / "gan2", seed=2, model={"of": "gan"}, protocol=other, values={0: 600.0, 200: 9e3, 400: 9e3})
    )
    (group,) = comparison(*runs).runs
    assert [point.value for point in group.points("fd_lenet2k")] == [600, 84, 42]
    assert [point.value for point in group.trace("loss_generator")] == pytest.approx([1.1, 1.2, 1.3, 1.4])


def test_runs_on_other_images_are_no_seeds_of_one_another(tmp_path: Path) -> None:
    """As two folders of images: their settings differ in nothing but where these lie."""

    def on(name: str, seed: int, *, root: str, finished: bool = True) -> Path:
        run = make_run(tmp_path / f"{name}{seed}-{root.replace('/', '')}", seed=seed, values={0: 9.0, 400: 1.0 + seed})
        config = yaml.safe_load((run / "config.yaml").read_text())
        config["data"] = {"class_path": "zoo.data.ImageFolder", "init_args": {"root": root}}
        (run / "config.yaml").write_text(yaml.safe_dump(config if finished else {**config, "paper": "gan"}))  # of W&B
        data = {"name": "ImageFolder", "fingerprint": name[0] * 64, "split": "train", "images": 300}
        write_result(run, {**read_result(run), "dataset": data})
        if not finished:
            (run / "result.json").unlink()
        return run

    cats = [on("cats", 0, root="/data/cats"), on("cats", 1, root="/mnt/other/cats")]  # of two machines
    dogs = [on("dogs", 2, root="/data/dogs"), on("dogs", 3, root="/data/dogs", finished=False)]
    compared = comparison(*cats, *dogs)
    assert [name for name, _ in compared.settings] == []
    assert [(label, run.seeds) for label, run in zip(compared.labels, compared.runs, strict=True)] == [
        ("gan on cats", "0, 1"),
        ("gan on dogs", "2, 3"),
    ]
    assert [figure.cells["last"] for figure in compared.figures("fd_lenet2k")] == ["1.5 +/- 0.71 (2/4)", "3 (1/4)"]
    for i, run in enumerate([*cats, dogs[0]]):
        (tmp_path / f"{i}.json").write_bytes((run / "result.json").read_bytes())
    assert [run.seeds for run in comparison(*sorted(tmp_path.glob("*.json"))).runs] == ["0, 1", "2"]


def test_runs_of_a_group_that_saw_other_numbers_of_images_are_said_to(tmp_path: Path) -> None:
    """As --trainer.max_time leaves them."""
    first, second, *_ = seeds(tmp_path)
    write_result(second, {**read_result(second), "images_seen": 1_300})
    compared = comparison(first, second)
    assert "its runs saw 400 to 1,300 images" in "\n".join(compared.run_notes)
    assert "images" not in "\n".join(comparison(first).run_notes)


def test_other_protocols_of_test_are_said_too(tmp_path: Path) -> None:
    runs = seeds(tmp_path)
    record = read_result(runs[2])
    own = {"o" * 12: {**PROTOCOL, "n_fake": 9}}
    tests = [{**test, "protocols": dict.fromkeys(test["values"], "o" * 12)} for test in record["tests"]]
    write_result(runs[2], {**record, "protocols": record["protocols"] | own, "tests": tests})
    compared = comparison(*runs)
    assert compared.tested["fd_lenet"][0].cells["last"] == "42 +/- 2.8 (2/3)"
    assert "fd_lenet: seeds have several protocols, the means are of the one" in "\n".join(compared.run_notes)


def test_records_alone_are_grouped_by_their_commands(tmp_path: Path) -> None:
    for i, run in enumerate(seeds(tmp_path / "runs")):
        (tmp_path / f"gan-digits-seed{i}.json").write_bytes((run / "result.json").read_bytes())
    (group,) = comparison(*sorted(tmp_path.glob("*.json"))).runs
    assert group.seeds == "0, 1, 2"
    assert "46 +/- 7.2 (3)" in as_text(Comparison([group], []))


def test_a_group_names_the_hardware_of_all_its_runs(tmp_path: Path) -> None:
    first, second, *_ = seeds(tmp_path)
    record = read_result(second)
    write_result(RunDir(second), {**record, "hardware": {**record["hardware"], "gpus": ["a GPU"]}})
    (made,) = (dict(comparison(first, second).circumstances)["hardware"],)
    assert made == ["abacus, 1 core; a GPU"]
    told = [note for note in comparison(first, second).run_notes if "differ" in note]
    assert told == ["gan digits: its runs differ in hardware (abacus, 1 core; a GPU)"]


def test_the_page_of_groups(tmp_path: Path) -> None:
    seeds(tmp_path)
    html = page(comparison(tmp_path))
    assert "46 +/- 7.2 (3)" in html
    assert "Lines are means over seeds" in html
    assert "3 finished" in html


# The tables as files.


def test_the_csv_has_a_row_for_each_value(tmp_path: Path) -> None:
    seeds(tmp_path)
    make_run(tmp_path / "b", paper="wgan", finished=False, values={0: 1.0}, model={"n_critic": 'a, "b"'})
    (file,) = write_tables(comparison(tmp_path), {"csv": str(tmp_path / "t.csv"), "latex": None})
    with file.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    last = next(r for r in rows if (r["taken_by"], r["checkpoint"], r["measure"]) == ("test", "last", "fd_lenet"))
    assert (float(last["value"]), last["runs"], last["better"]) == (46.0, "3", "lower")
    assert float(last["deviation"]) == pytest.approx(statistics.stdev(ENDS))
    assert {row["state"] for row in rows} == {"3 finished", "1 stopped, 2 missing"}
    assert all(len(row) == len(rows[0]) for row in rows)


def test_the_csv_has_the_error_of_one_runs_value(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", tests={"last": 8.0}, tested="is_lenet")
    record = read_result(run)
    record["tests"][0]["values"]["is_lenet_std"] = 0.07
    write_result(run, record)
    compared = Comparison(*read_runs([run]))
    assert compared.tested["is_lenet"][0].cells["last"] == "8 +/- 0.07 at 400"
    (file,) = write_tables(compared, {"csv": str(tmp_path / "t.csv")})
    with file.open(newline="") as handle:
        row = next(r for r in csv.DictReader(handle) if r["measure"] == "is_lenet")
    assert (row["value"], row["error"], row["deviation"], row["runs"]) == ("8.0", "0.07", "", "1")


def test_a_record_is_not_written_over_nor_one_table_by_another(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    before = (run / "result.json").read_bytes()
    for options, message in (
        (["--csv", run / "result.json", run], "--csv .*result.json may be a record"),
        ([run, "--page", "", "--latex", tmp_path / "t", "--markdown", tmp_path / "b/../t"], "one file twice"),
    ):
        arguments = parser("compare").parse_args(["compare", *map(str, options)])
        with pytest.raises(UsageError, match=message):
            arguments.run(arguments)
    assert (run / "result.json").read_bytes() == before


def test_files_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    compared = comparison(*seeds(tmp_path))
    with pytest.raises(RecordError, match=r"could not write \S+absent/t\.md"):
        list(write_tables(compared, {"markdown": str(tmp_path / "absent/t.md")}))


def test_markdown_shows_every_cell_as_it_is(tmp_path: Path) -> None:
    compared = comparison(*seeds(tmp_path))
    (file,) = write_tables(compared, {"markdown": str(tmp_path / "t.md")})
    text = file.read_text()
    assert text.startswith("## Runs\n\n| run | data | images seen | updates of G |")
    assert "| 45 +/- 7.2 (3) | 46 +/- 7.2 (3) |" in text
    assert plain_in_markdown("a|b <i> `c` *d*") == r"a\|b \<i> \`c\` \*d\*"
    assert plain_in_markdown("z_dim _a_ __b__ ~~c~~ &lt; $d$ e & f") == (
        r"z_dim \_a\_ \_\_b\_\_ \~\~c\~\~ \&lt; \$d\$ e & f"
    )


ODD = r"50% of $x_1^2$ & #3 {a} ~\begin <b>|`c` 'd' \"e\" --lr --- 中 [é]"


def test_latex_is_escaped() -> None:
    assert escaped("n_critic 5 & 50% +/- 2") == r"n\_critic 5 \& 50\% $\pm$ 2"
    assert escaped(r"\a{b}~^") == r"\textbackslash{}a\{b\}\textasciitilde{}\textasciicircum{}"
    assert escaped("--a ---b") == "-{}-a -{}-{}-b"
    assert escaped("é中ħ đ") == "éU+4E2DU+0127 đ"
    assert escaped("a,,b,c") == "a,{},b,c"
    text = in_latex(Table("t_1", "", ["a", "b"], [["[x]", "1 +/- 2 (3)"]]))
    assert "{}[x] & 1 $\\pm$ 2 (3) \\\\\n" in text  # behind \\ a bracket would be an option
    assert r"\begin{tabular}{lr}" in text
    assert [line for line in text.split("\n") if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]


@pytest.mark.slow
def test_the_latex_compiles(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex is installed")
    compared = comparison(*seeds(tmp_path), make_run(tmp_path / "odd", recipe=ODD, paper="wgan", protocol={"a": ODD}))
    assert len(tables(compared)) == 3
    (file,) = write_tables(compared, {"latex": str(tmp_path / "tables.tex")})
    packages = re.findall(r"\\usepackage\S+", PREAMBLE.replace(",", " "))
    head = "\n".join(["\\documentclass{article}", *packages, "\\begin{document}\n"])
    odd = in_latex(Table(ODD, ODD, ["[a]", ODD], [["*", ODD], ["[b", ODD]]))
    (tmp_path / "main.tex").write_text(f"{head}\\input{{{file.name}}}\n{odd}\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "main.pdf").stat().st_size > 10_000
    assert b"Overfull" not in done.stdout  # the table of the odd run is wider than a page
