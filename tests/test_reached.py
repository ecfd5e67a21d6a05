import shutil
from pathlib import Path
from typing import Any

import pytest
from made_runs import make_run

from zoo.commands.results.keep import keep
from zoo.commands.results.results import Result, Value, data_of, of_study, options_of_study, reached_by, results
from zoo.commands.results.tables import (
    WITH,
    WITHOUT,
    Line,
    arm_tables,
    by_paper,
    cells,
    for_readme,
    for_results,
    in_few_words,
    of_paper,
    page_tables,
    plain_table,
    short_table,
)
from zoo.errors import RecordError, ZooError
from zoo.runs.command_lines import without_folders
from zoo.runs.folder import RunDir
from zoo.runs.record import read_result, write_result
from zoo.training.recipes import Recipe


def test_a_kept_run_has_its_record_its_last_grid_and_the_last_of_each_figure(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tests={"best": 1.0, "last": 2.0})
    figures = RunDir(run).figures
    figures.mkdir()
    for name in ("growth-000000200", "growth-000000400", "figure3_style_mixing-000000400", "undated"):
        (figures / f"{name}.png").write_bytes(name.encode())
    file = keep(run, tmp_path / "root")
    assert file.name == "gan-digits-seed0.json"
    assert read_result(file)["tests"] == read_result(run)["tests"]
    kept = {path.name: path.read_bytes() for path in file.parent.glob("*.png")}
    assert kept["gan-digits-seed0.png"] == (RunDir(run).grids / "images-000000400.png").read_bytes()
    assert kept["gan-digits-seed0-growth.png"] == b"growth-000000400"
    assert kept["gan-digits-seed0-figure3_style_mixing.png"] == b"figure3_style_mixing-000000400"
    assert len(kept) == 3


def test_a_fine_tuned_run_is_not_kept_as_one_of_its_recipe(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", tests={"best": 1.0, "last": 2.0})
    finetune = {"init_from": "dcgan.mnist", "freeze_d": 0, "lr_scale": 1.0, "augment": None, "tensors": None}
    write_result(RunDir(run), {**read_result(run), "finetune": finetune})
    with pytest.raises(RecordError, match=r"fine-tuned or augmented \(from dcgan\.mnist\)"):
        keep(run, tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_run_with_other_settings_does_not_take_the_place_of_a_record(tmp_path: Path) -> None:
    root, kept = tmp_path / "root", make_run(tmp_path / "a", tests={"best": 1.0, "last": 2.0})
    file = keep(kept, root)
    other = make_run(tmp_path / "b", tests={"best": 0.5, "last": 1.0})
    write_result(RunDir(other), {**read_result(other), "overrides": {"--model.width": "32"}})
    before = file.read_bytes()
    with pytest.raises(RecordError, match=r"seed0\.json is of a run with other settings \(the recipe alone\)"):
        keep(other, root)
    data = {**read_result(kept)["dataset"], "fingerprint": "0" * 64, "images": 300}  # another folder of images
    same = make_run(tmp_path / "c", tests={"best": 0.5, "last": 1.0})
    write_result(RunDir(same), {**read_result(same), "dataset": data})
    with pytest.raises(RecordError, match=r"seed0\.json is of a run on other images \(5,000 of Digits\)"):
        keep(same, root)
    assert file.read_bytes() == before
    file.unlink()
    assert keep(other, root) == keep(other, root)  # a run that went on takes its own place


def test_a_run_that_lacks_a_test_leaves_the_records_as_they_were(tmp_path: Path) -> None:
    root = tmp_path / "root"
    scripts = Path(__file__).parents[1] / "reproductions"
    shutil.copytree(scripts, root / "reproductions", ignore=shutil.ignore_patterns("records"))
    run = make_run(tmp_path / "run", tests={"last": 2.0})
    best = run / "checkpoints/best.ckpt"
    best.touch()
    with pytest.raises(RecordError, match=r"not measured at its best checkpoint: `test --ckpt_path best` does"):
        keep(run, root)
    assert not (root / "reproductions/records").exists()
    best.unlink()  # none was chosen: no keep.monitor
    keep(run, root)
    (result,) = results(root / "reproductions")
    assert (result.best, result.last, result.reported) == (None, Value(2.0), None)
    assert cells((result,))[2:5] == ("not reported", "not chosen", "2")


def test_folders_of_a_machine_are_not_kept() -> None:
    command = ["python", "x.py", "fit", "--data_dir", "/home/me", "--run_dir=/home/me/runs", "--recipe=mnist"]
    assert without_folders(command) == [*command[:3], "--data_dir", "DIR", "--run_dir=RUN", "--recipe=mnist"]
    tuned = ["python", "x.py", "fit", "--init_from=/home/me/study/source", "--data.root", "/home/me/faces"]
    assert without_folders(tuned)[3:] == ["--init_from=source", "--data.root", "DIR"]
    assert without_folders(["fit", "--init_from", "dcgan.mnist"])[1:] == ["--init_from", "dcgan.mnist"]
    files = ["--ckpt_path=/home/me/runs/a/checkpoints/last.ckpt", "--config", "/home/me/my.yaml"]
    assert without_folders(["fit", *files])[1:] == ["--ckpt_path=last.ckpt", "--config", "my.yaml"]
    assert without_folders(["fit", "--ckpt_path", "last"])[1:] == ["--ckpt_path", "last"]
    inside = '{"class_path": "ImageFolder", "init_args": {"root": "/home/me/faces", "crop": "none"}}'
    assert without_folders(["fit", "--data", inside])[2] == inside.replace("/home/me/", "")
    assert without_folders(["fit", "--data={root: /home/me/faces}"])[1] == "--data={root: faces}"
    profiler = ["--trainer.profiler.dirpath", "/home/me/p", "--trainer.profiler.filename=~/x"]
    assert without_folders(["fit", *profiler])[1:] == [profiler[0], "p", "--trainer.profiler.filename=x"]


def test_what_a_logger_is_given_is_not_kept() -> None:
    """Such as the key of an account, which stood in the card and the README of a release that was pushed."""
    logger = ["--trainer.logger", "CometLogger", "--trainer.logger.api_key", "secret", "--trainer.logger.name=secret"]
    kept = ["--trainer.logger", "CometLogger", "--trainer.logger.api_key", "...", "--trainer.logger.name=..."]
    assert without_folders(["fit", *logger])[1:] == kept
    several = '[{"class_path": "MLFlowLogger", "init_args": {"tracking_uri": "https://me:secret@there"}}]'
    assert without_folders(["fit", "--trainer.logger", several, f"--trainer.logger+={several}"])[2:] == [
        "...",
        "--trainer.logger+=...",
    ]


def test_a_source_at_the_hub_is_named_in_full() -> None:
    for words in (["--init_from", "hf://me/faces@v1"], ["--init_from=hf://me/faces"]):
        assert without_folders(["fit", *words])[1:] == words


def reached_row(recipe: str, measure: str, reported: str | None = None, **more: Any) -> Line:
    name, _, variant = recipe.partition(", ")
    known = {"best": Value(1.0), "last": Value(2.0), "images": 3, "seeds": (0,), "commits": ("abc",), "protocol": "def"}
    known |= {"variant": variant or None, "measure": measure, "reported": reported, "paper": "gan", "recipe": name}
    return (Result(**(known | more)),)


def test_a_value_is_typed_and_its_text_a_rendering() -> None:
    chosen = reached_row(
        "digits", "is_lenet", "8.1", best=Value(9.2114, 0.1234, 60_000), images=100_000, seeds=(0, 1, 2)
    )
    assert cells(chosen) == (
        "digits",
        "is_lenet",
        "8.1",
        "9.211 +/- 0.12 at 60,000",
        "2",
        "100,000",
        "0-2",
        "abc",
        "def",
    )
    finding = (Result("gan", study="two", measure="agreement", last=Value(0.5), seeds=(0, 2)),)
    assert cells(finding) == ("study two", "agreement", "not reported", "", "0.5", "", "0, 2", "", "")
    both = (*not_run_row("towers"), Result("gan", "towers", measure="fid50k", reported="3"))
    assert cells(both) == ("towers", "is50k, fid50k", "7.9, 3", "not run", "not run", "", "", "", "")


def test_results_show_the_figures_that_runs_are_compared_by() -> None:
    row = reached_row
    shown = [row("mnist", "fd_lenet"), row("mnist", "parzen_ll", "225"), row("ring", "modes")]
    hidden = [row("mnist", "kd_lenet"), row("mnist, wide", "fd_lenet"), row("ring", "critic_gradient_norm")]
    assert for_results([*shown[:2], *hidden, shown[2]]) == shown
    stacked = [row("stacked", measure) for measure in ("fd_resnet26k", "modes26k", "modes_kl26k")]
    assert for_results([*stacked, row("stacked", "recall_resnet26k")]) == stacked
    variants = [(Result("gan", "towers", variant="A", measure=name, last=Value(1)),) for name in ("fd_x10k", "kd_x10k")]
    assert for_results([*shown[:2], *variants]) == [*shown[:2], variants[0]]  # of a recipe in a study alone


def test_arms_of_a_study_stand_below_one_another_and_are_short_in_the_script() -> None:
    """A measure under two protocols, or other data, stands apart; a figure of the paper stays with the others."""

    def arm(variant: str, measure: str, last: float, protocol: str = "abc", **settings: Any) -> Result:
        value = Value(last, 0.5)
        known: dict[str, Any] = {"best": value, "last": value, "images": 1_000, "data": "MNIST", "protocol": protocol}
        return Result("gan", "mnist", variant=variant, arm_of="two", measure=measure, **{**known, **settings})

    arms = [arm("A", "fd", 1), arm("A", "kd", 2), arm("B", "fd", 3, best=Value(2.5)), arm("B", "swd", 4, "def")]
    (table,) = arm_tables(arms)
    assert table.splitlines() == [
        "Study `two` on MNIST, 'best' and 'last' where they differ:",
        "",
        "| arm | images | seed | commit | fd | kd | swd |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| mnist, A | 1,000 |  |  | 1 +/- 0.5 | 2 +/- 0.5 |  |",
        "| mnist, B | 1,000 |  |  | 2.5; 3 +/- 0.5 |  | 4 +/- 0.5 |",
        "| protocol |  |  |  | abc | abc | def |",
    ]
    others = [arm("C", "fd", 5, "other"), arm("D", "fd", 6, data="Digits"), arm("E", "fd", 7)]
    alike, apart, digits = arm_tables([*arms, *others])
    assert alike.splitlines()[2:] == [
        "| arm | images | seed | commit | kd | swd |",
        "| --- | --- | --- | --- | --- | --- |",
        "| mnist, A | 1,000 |  |  | 2 +/- 0.5 |  |",
        "| mnist, B | 1,000 |  |  |  | 4 +/- 0.5 |",
        "| protocol |  |  |  | abc | def |",
    ]
    assert apart.splitlines() == [
        "Study `two` on MNIST, to be ranked where the protocol is the same, 'best' and 'last' where they differ:",
        "",
        "| arm | images | seed | commit | fd | protocol |",
        "| --- | --- | --- | --- | --- | --- |",
        "| mnist, A | 1,000 |  |  | 1 +/- 0.5 | abc |",
        "| mnist, B | 1,000 |  |  | 2.5; 3 +/- 0.5 | abc |",
        "| mnist, C | 1,000 |  |  | 5 +/- 0.5 | other |",
        "| mnist, E | 1,000 |  |  | 7 +/- 0.5 | abc |",
    ]
    assert digits.startswith("Study `two` on Digits:")

    mixed = [arm("A", "fd", 1, seeds=(0, 1)), arm("A", "fd", 9, "def", seeds=(2,)), arm("A", "kd", 3)]
    first, second = arm_tables(mixed)
    assert "| mnist, A | 1,000 |  |  | 3 +/- 0.5 |" in first
    assert "| mnist, A | 1,000 | 0, 1 |  | 1 +/- 0.5 | abc |\n| mnist, A | 1,000 | 2 |  | 9 +/- 0.5 | def |" in second

    single = reached_row("mnist", "parzen_ll", "225")
    reported = (arm("A", "parzen_ll", 9, reported="225"),)
    lines: list[Line] = [single, *((result,) for result in arms), reported]
    assert for_results(lines) == [single, reported]
    text = page_tables(lines, [])
    assert text.count("| mnist, A |") == 2
    assert text.index("| mnist, A | MNIST | parzen_ll | 225 |") < text.index("Study `two`")


def not_run_row(recipe: str, reported: str | None = "7.9") -> Line:
    return (Result("gan", recipe, measure="is50k", reported=reported),)


RECIPES = {name: Recipe(f"some {name}", {}) for name in ("towers", "faces", "digits")}


def test_readme_shows_a_papers_first_reported_figures() -> None:
    first, second, third = (reached_row("faces", measure, "8.1") for measure in ("fid50k", "is50k", "kid50k"))
    distance, missing = reached_row("digits", "fd_lenet"), not_run_row("digits")
    assert for_readme([distance, first, second, third], [], RECIPES) == [first, second]
    assert for_readme([distance, first], [missing], RECIPES) == [first, missing]
    assert for_readme([distance, first], [], RECIPES) == [first]


def test_readme_says_that_the_first_reported_figure_was_not_run_and_what_was() -> None:
    missing, reported = not_run_row("towers"), reached_row("digits", "parzen_ll", "225")
    digits, faces = (reached_row(recipe, "fd_lenet") for recipe in ("digits", "faces"))
    other = reached_row("digits", "is_lenet")
    assert for_readme([digits, other, faces, reported], [missing], RECIPES) == [missing, reported]
    assert for_readme([other, digits, faces], [not_run_row("faces"), missing], RECIPES) == [missing, faces]
    assert for_readme([], [missing, not_run_row("faces")], RECIPES) == [missing]


def test_readme_shows_the_distance_of_the_first_image_run_of_a_paper_without_figures() -> None:
    study = [reached_row("digits, narrow", "is_lenet"), reached_row("digits, narrow", "fd_lenet")]
    ring, unknown = reached_row("ring", "wasserstein_exact"), not_run_row("", None)
    assert for_readme([ring, *study], [], RECIPES) == [study[1]]
    faces = reached_row("faces, wide", "fd_lenet")
    assert for_readme([ring, *study, faces], [], RECIPES) == [faces]
    assert for_readme([ring], [], RECIPES) == [ring]
    assert for_readme([], [unknown], RECIPES) == [unknown]


def test_rows_with_a_reported_figure_stand_apart_from_those_without(tmp_path: Path) -> None:
    """In every kind of document."""
    rows = [reached_row("digits", "fd_lenet"), reached_row("faces", "parzen_ll", "225"), not_run_row("towers")]
    long = of_paper(rows, [], RECIPES, page=tmp_path / "none.md")
    for text in (page_tables(rows, []), short_table(rows), long, plain_table(rows), by_paper(rows)):
        beside, _, own = text.partition(WITHOUT)
        assert beside.index(WITH) < beside.index("225")
        assert "7.9" in beside
        assert "digits" not in beside
        assert "reported" not in own
        assert "digits" in own
        assert not {"faces", "towers"} & set(own.partition("\n- `")[0].split())
    for only, other in (([rows[0]], WITH), (rows[1:], WITHOUT)):
        assert other not in page_tables(only, [])


def test_the_terminal_shows_whose_figures_they_are() -> None:
    dcgan = reached_row("digits", "fd_lenet", paper="dcgan")
    shown = by_paper([reached_row("digits", "is_lenet"), reached_row("digits", "kd_lenet"), dcgan]).splitlines()
    assert [line for line in shown if not line.startswith(" ")] == ["gan", "", "dcgan"]
    assert [line.split()[1] for line in shown if "digits" in line] == ["is_lenet", "kd_lenet", "fd_lenet"]
    assert by_paper([]).strip() == "not run"


def test_the_short_table_names_what_was_set_and_the_long_one_explains_its_recipes(tmp_path: Path) -> None:
    row = reached_row("digits, narrow", "fd_lenet", settings=" --model.width 32", command="x.py study --name n")
    line = short_table([row]).strip().splitlines()[-1]
    assert line == "| gan | digits, narrow `--model.width 32` | fd_lenet | 1 | 2 | 3 | 0 | def |"
    section = of_paper([row, row], [not_run_row("faces")], RECIPES, page=tmp_path / "gan.md")
    shown, _, folded = section.partition("<details>")
    assert shown.startswith(f"## gan\n\n{WITHOUT}:\n\n| recipe | data |")
    assert shown.count("| abc | def | `x.py study --name n` |") == 2
    assert shown.endswith("|\n\n- `digits`: some digits.\n\n")  # and no link to a page that is not there
    assert "not run" not in shown
    assert "| faces |  | is50k | 7.9 | not run | not run |" in folded
    (tmp_path / "gan.md").touch()
    section = of_paper([row], [], RECIPES, page=tmp_path / "gan.md")
    assert section.endswith("- More in [gan.md](gan.md#reported-and-reached).\n\n")


def test_many_settings_are_cut_short_for_the_short_table() -> None:
    flip = " --data.batch_size 32 --data.horizontal_flip true"
    assert in_few_words("") == ""
    assert in_few_words(flip) == f" `{flip.strip()}`"
    assert in_few_words(flip + " --model.width 32") == f" `{flip.strip()}` and 1 more setting"
    long = f" --{'a' * 60} 1"
    assert in_few_words(long + flip) == " and 3 more settings"


def test_the_command_that_reached_a_figure_names_what_was_set() -> None:
    first = [
        "python",
        "reproductions/gan.py",
        "fit",
        "--recipe=mnist",
        "--run_dir",
        "RUN",
        "--trainer.max_time=00:01:00:00",
    ]
    first += ["--model.width", "32", "--images=100", "--evaluation.every=50"]
    again = [
        "python",
        "reproductions/gan.py",
        "fit",
        "--run_dir=RUN",
        "--ckpt_path=last",
        "--images",
        "200",
        "--init_from",
        "a=b",
    ]
    test = ["python", "reproductions/gan.py", "test", "--run_dir", "RUN", "--evaluation.samples", "7"]
    by_zoo = [["zoo", *words[2:3], "gan", *words[3:]] for words in (first, again, test)]
    assert reached_by({"paper": "gan", "recipe": "mnist", "commands": by_zoo}) == (
        "reproductions/gan.py fit --recipe mnist --model.width 32 --images 200 --init_from a=b"
    )
    record = {"paper": "gan", "recipe": "mnist", "commands": [first, again, test]}
    assert reached_by(record) == "reproductions/gan.py fit --recipe mnist --model.width 32 --images 200 --init_from a=b"


def test_what_a_study_sets_itself_is_known() -> None:
    assert {"--init_from", "--freeze_d", "--recipe", "--model.width"} <= set(options_of_study("dcgan", "finetune"))
    assert "--model.width_G" not in options_of_study("wgan", "mnist")
    assert options_of_study("wgan", "of long ago") == []


def test_the_data_are_those_of_the_run() -> None:
    """Not of its recipe: cars at 64x64 by a recipe for faces, CIFAR-10 at another size than the recipe's."""
    recipe = {"data": {"class_path": "zoo.data.CelebA", "init_args": {"resolution": 64, "batch_size": 2}}}
    assert data_of(recipe) == "CelebA 64x64"
    assert data_of(recipe, {"--data": "CIFAR10"}) == "CIFAR10 64x64"
    assert data_of(recipe, {"--data": "zoo.data.CIFAR10", "--data.resolution": "32"}) == "CIFAR10 32x32"
    assert data_of({}, {"--images": "3"}) == "none"
    shown = (Path(__file__).parents[1] / "docs/dcgan.md").read_text()
    assert "Study `finetune_colour` on CIFAR10 64x64" in shown


def test_seeds_of_a_mean_are_those_that_it_is_of_and_a_paper_reports_nothing_on_other_data() -> None:
    """`mnist` is on MNIST, of which the paper reports `parzen_ll`."""
    test = {"checkpoint": "last.ckpt", "images_seen": 9, "values": {"parzen_ll": 9.0}, "protocols": {"parzen_ll": "p"}}
    whole = {"paper": "gan", "recipe": "mnist", "tests": [test], "images_seen": 9, "seed": 1, "commit": "c" * 40}
    whole |= {"commands": [], "overrides": {}}
    records = {"a": {**whole, "tests": [], "seed": 0}, "b": whole}
    study = {"paper": "gan", "study": "seeds", "groups": {"a": "GAN", "b": "GAN"}, "findings": {}, "records": records}
    (found,) = of_study(study)
    assert (found.last, found.seeds, found.protocol, found.reported) == (Value(9.0), (1,), "p", "225 +/- 2")
    records |= {name: {**record, "overrides": {"--data": "Digits"}} for name, record in records.items()}
    (found,) = of_study(study)
    assert found.reported is None


def test_a_mean_over_runs_of_other_lengths_names_none_of_them() -> None:
    test = {"checkpoint": "last.ckpt", "values": {"parzen_ll": 9.0}, "protocols": {"parzen_ll": "p"}}
    own = {"paper": "gan", "recipe": "mnist", "commit": "c" * 40, "commands": [], "overrides": {}}
    records = {
        name: {**own, "tests": [{**test, "images_seen": images}], "images_seen": images, "seed": seed}
        for seed, (name, images) in enumerate((("a", 8), ("b", 9)))
    }
    study = {"paper": "gan", "study": "seeds", "groups": {"a": "GAN", "b": "GAN"}, "findings": {}, "records": records}
    (found,) = of_study(study)
    assert (found.images, found.seeds) == (None, (0, 1))
    records["a"]["recipe"] = "of before"
    with pytest.raises(
        ZooError, match=r"group GAN of study seeds is of recipe 'of before', which gan\.py does not have"
    ):
        list(of_study(study))


@pytest.mark.parametrize(("size", "variant"), [("32", "row a at 32x32"), ("128", None)])
def test_a_row_of_a_table_in_small_is_none_of_the_recipes(size: str, variant: str | None) -> None:
    """`table1_a` is CelebA at 128x128."""
    tests = [{"checkpoint": "last.ckpt", "images_seen": 9, "values": {"swd10k_avg": 9.0}, "protocols": {}}]
    record = {"paper": "pggan", "recipe": "table1_a", "tests": tests, "images_seen": 9, "seed": 0, "commit": None}
    record |= {"commands": [], "overrides": {"--data.resolution": size}}
    study = {"paper": "pggan", "study": "table1_small", "groups": {"a-seed0": "row a at 32x32"}, "findings": {}}
    (found,) = of_study({**study, "records": {"a-seed0": record}})
    assert (found.recipe, found.variant, found.data) == ("table1_a", variant, f"CelebA {size}x{size}")
