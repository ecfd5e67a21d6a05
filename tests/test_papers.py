"""The table of papers against the scripts and the committed records."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from made_runs import make_run

from zoo.commands.papers import as_text, table, times_of
from zoo.commands.references import papers
from zoo.commands.results.results import data_of, not_run, results
from zoo.commands.results.tables import cells, with_command
from zoo.errors import ZooError
from zoo.models import MODELS
from zoo.training.recipes import budget_of
from zoo.training.scripts import folder_of_scripts, reported_by, script_of


def test_every_paper_has_its_title_recipes_and_model() -> None:
    assert list(papers()) == list(MODELS)
    assert {name: paper.reference for name, paper in papers().items()} == {n: m.reference for n, m in MODELS.items()}
    text = as_text()
    scripts = folder_of_scripts()
    for name, (_, _, paper) in papers().items():
        script = (scripts / f"{name}.py").read_text()
        assert f"arXiv {paper.arxiv}" in text
        assert paper.arxiv in script or paper.arxiv in (scripts.parent / f"zoo/models/{name}.py").read_text()
        block = next(part for part in text.split("\n\n") if part.startswith(f"{name}  "))
        shown = {line.split()[0].rstrip(",") for line in block.splitlines()[2:-1]}
        assert shown >= set(script_of(name).recipes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout's reproductions with one record: GAN on MNIST, parzen_ll by `test`."""
    run = make_run(tmp_path / "run", recipe="mnist", tests={"best": 150.0, "last": 140.0}, tested="parzen_ll")
    (tmp_path / "reproductions/records").mkdir(parents=True)
    shutil.copy(run / "result.json", tmp_path / "reproductions/records/gan-mnist-seed0.json")
    return tmp_path / "reproductions"


COST = times_of("gan")["mnist"]  # of the committed record


def budget(recipe: str) -> str:
    return budget_of(script_of("gan").recipes[recipe].config)


def without_cost(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows without budget and time."""
    return [(*row[:2], *row[4:]) for row in rows]


def test_reported_reached_and_not_run(folder: Path) -> None:
    found = list(table("gan", list(results(folder))))
    assert [row[2:4] for row in found[:2]] == [(budget("mnist"), COST), (budget("cifar10_fully_connected"), "")]
    assert without_cost(found) == [
        ("mnist", "MNIST", "parzen_ll", "225 +/- 2", "150 at 400", "140"),
        ("cifar10_fully_connected", "CIFAR10", "", "not reported", "not run", ""),
        ("cifar10_convolutional", "CIFAR10", "", "not reported", "not run", ""),
        ("cifar10", "CIFAR10", "", "not reported", "not run", ""),
        ("celeba64", "CelebA 64x64", "", "not reported", "not run", ""),
        ("digits", "Digits", "", "not reported", "not run", ""),
    ]
    (folder / "records/gan-mnist-seed0.json").unlink()
    found = list(table("gan", list(results(folder))))
    assert without_cost(found)[0] == ("mnist", "MNIST", "parzen_ll", "225 +/- 2", "not run", "")


def test_figures_stand_beside_the_data_that_they_are_of() -> None:
    """The recipe's data stood there: CIFAR-10 enlarged, which WGAN's run was not, and faces for the study's cars."""
    reached = list(results())
    wgan, dcgan = (list(table(paper, reached)) for paper in ("wgan", "dcgan"))
    assert {row[1] for row in wgan if row[0] == "cifar10"} == {"CIFAR10 32x32"}
    assert {row[1] for row in dcgan if ", cars, " in row[0]} == {"CIFAR10 64x64"}
    assert {row[1] for row in dcgan if row[0] == "celeba_community"} == {"CelebA 64x64"}


def test_what_was_not_run_stands_in_readme(folder: Path) -> None:
    recipes = script_of("gan").recipes
    assert list(not_run("gan", recipes, list(results(folder)))) == []
    (line,) = not_run("gan", recipes, [])
    assert cells(line)[:5] == ("mnist", "parzen_ll", "225 +/- 2", "not run", "not run")
    assert with_command(line)[:3] == ("mnist", "MNIST", "parzen_ll")
    assert with_command(line)[-1] == "`reproductions/gan.py fit --recipe mnist`"
    (line,) = not_run("lsgan", script_of("lsgan").recipes, [])  # reports nothing that can be tabulated
    assert cells(line)[2:5] == ("not reported", "not run", "not run")


def test_the_seeds_of_a_study_and_its_findings(folder: Path) -> None:
    record = json.loads((folder / "records/gan-mnist-seed0.json").read_text())
    study = {"schema": 1, "paper": "gan", "study": "seeds", "summary": "two", "findings": {"agreement": 0.5}}
    study |= {"groups": {"a": "GAN", "b": "GAN"}, "records": {"a": record, "b": record | {"seed": 1}}}
    (folder / "records/gan-mnist-seed0.json").unlink()
    (folder / "records/gan-study-seeds.json").write_text(json.dumps(study))
    found = list(table("gan", list(results(folder))))
    assert without_cost(found)[0] == ("mnist", "MNIST", "parzen_ll", "225 +/- 2", "150 +/- 0", "140 +/- 0")
    assert without_cost(found)[-1] == ("study seeds", "", "agreement", "not reported", "", "0.5")


def test_some_papers_and_none() -> None:
    assert as_text(names=["wgan"]).startswith("wgan  Wasserstein Generative Adversarial Networks, 2017")
    assert "infogan" not in as_text(names=["wgan"])
    with pytest.raises(ZooError, match="there is no paper 'vae': the papers are gan, dcgan"):
        as_text(names=["vae"])


def test_the_newest_run_of_a_recipe_says_what_it_took(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the last one by the names of the files: seed10 stands before seed2 there."""
    record = json.loads((folder / "records/gan-mnist-seed0.json").read_text())
    for seed, day, seconds in ((2, 2, 60.0), (10, 3, 120.0)):
        own = {**record, "seed": seed, "finished": f"2026-01-0{day}T00:00:00+00:00", "wall_time_s": seconds}
        (folder / f"records/gan-mnist-seed{seed}.json").write_text(json.dumps(own))
    monkeypatch.setattr("zoo.commands.papers.folder_of_scripts", lambda: folder)
    assert times_of("gan") == {"mnist": "0:02:00 for 400 (1 core)"}


def test_data_of() -> None:
    assert data_of({"data": {"class_path": "zoo.data.CelebA", "init_args": {"resolution": 64}}}) == "CelebA 64x64"
    assert data_of({}) == "none"


def test_reported_by() -> None:
    assert reported_by("gan", "mnist")["parzen_ll"] == "225 +/- 2"
    assert reported_by("gan", "digits") == {}
    assert reported_by("vae", "mnist") == {}
