"""Numbers that stand in running text, against the committed records and the code that they speak of."""

import json
import re
import statistics
from datetime import datetime
from typing import Any

import pytest
from pages import ROOT, between, last_values, record, spans, tables, text_of

from zoo.commands.targets import TARGETS
from zoo.experiments.dcgan_features import CS
from zoo.experiments.infogan_codes import runs_needed
from zoo.experiments.measures import MEASURES
from zoo.metrics.parzen import VALIDATION_IMAGES
from zoo.models import MODELS
from zoo.releases.find import SHIPPED, list_pretrained
from zoo.training.scripts import script_of


def all_records() -> list[Any]:
    """Of runs, those of studies among them."""
    found = [json.loads(file.read_text()) for file in (ROOT / "reproductions/records").glob("*.json")]
    return [run for entry in found for run in entry.get("records", {"": entry}).values()]


def test_infogans_error_over_seeds_and_what_moves_it() -> None:
    page, codes = text_of("docs/results.md"), last_values("infogan-study-codes", "paper-")
    values = last_values("infogan-study-mnist", "infogan-") + codes
    errors = sorted(100 * value["code_error"] for value in values)
    assert len(errors) == 12
    said = f"errs in {errors[0]:.0f} to {errors[-1]:.0f} % of the test images, in"
    assert f"{said} twelve seeds" in page
    assert f"half of them in {statistics.median(errors):.0f} % or more" in page
    assert f"as good as the reported 5 %: {errors[0]:.1f} %. In the others, {errors[1]:.0f} % and more," in page
    assert said in text_of("README.md")
    assert f"In the others, {errors[1]:.0f} % and more" in text_of("README.md")
    runs = runs_needed([error / 100 for error in errors])
    assert runs["runs_at_5_percent"] == 1
    fewest, most = runs["runs_needed_at_least"], runs["runs_needed_at_most"]
    assert f"means between {100 / most:.1f} and {100 / fewest:.0f} % of all runs (95 %)" in page
    assert f"and so {fewest:.0f} to {most:.0f} runs for each that is as good" in page
    readings = [statistics.mean(100 * v[f"code_error{name}"] for v in codes) for name in ("", "_batch", "_majority")]
    assert f"move the mean of `codes` by {max(readings) - min(readings):.1f} points" in page
    arms = ("slope_0.01", "digits_55000", "both_of_the_code")
    findings = record("infogan-study-codes")["findings"]
    a, b, c = (100 * findings[f"code_error minus that of the paper's settings, {arm}"] for arm in arms)
    assert f"and both err {a:.0f} points more, {b:.0f} more and {-c:.0f} less" in page
    assert f"seeds differ by {statistics.stdev(100 * v['code_error'] for v in codes):.0f} points" in page
    assert {findings[f"seeds in common, {arm}"] for arm in arms} == {3}
    runs = record("infogan-study-codes")["records"]
    short, long = (
        100 * runs[name]["tests"][-1]["values"]["code_error"] for name in ("paper-seed3", "twice_as_long-seed3")
    )
    assert f"changed seed 3 from {short:.1f} to {long:.1f} %" in page


def test_what_an_svm_makes_of_dcgans_features() -> None:
    found, page = record("dcgan-study-features")["findings"], text_of("docs/results.md")
    own, before = (100 * found[f"svm_accuracy of {D} D, own_data-seed0"] for D in ("own-data", "untrained"))
    assert f"gives {own:.1f} %, and {before:.1f} % before the training" in page
    assert f"gives {own:.1f} %, the same D before its training {before:.1f} %" in text_of("docs/dcgan.md")
    (C,) = {found[f"svm_C of {D} D, own_data-seed0"] for D in ("own-data", "untrained")}
    assert min(CS) < C < max(CS)
    assert f"Both took {C} among five C from {min(CS)} to {max(CS)}" in page


@pytest.mark.parametrize(
    ("paper", "share", "said"),
    [
        ("wgan_gp", 0.25, "after a quarter of its budget, made all {}"),
        ("dcgan", 0.2, "after a fifth, all {}"),
        ("pggan", 7 / 30, "after 23 %, {}"),
    ],
)
def test_what_is_made_of_three_digits(paper: str, share: float, said: str) -> None:
    run = record(f"{paper}-stacked-seed0")
    (last,) = (test["values"] for test in run["tests"] if test["checkpoint"] == "last.ckpt")
    assert run["images_seen"] / script_of(paper).recipes["stacked"].config["images"] == pytest.approx(share, rel=1e-3)
    text, modes = text_of("docs/data.md"), f"{last['modes26k']:,.0f}"
    assert re.search(f"{said.format(modes)},? at (a divergence of )?{last['modes_kl26k']:.3f}", text)


def test_how_long_the_benchmark_on_cifar10_took() -> None:
    runs = [member["record"] for member in record("benchmark/cifar10")["members"].values()]
    start, end = (f(datetime.fromisoformat(run[at]) for run in runs) for f, at in ((min, "started"), (max, "finished")))
    assert f"The {len(runs)} runs" in text_of("docs/clusters.md")
    assert 6 < (end - start).total_seconds() / 60 < 7
    assert "trained in seven minutes" in text_of("docs/clusters.md")


def test_what_ten_seeds_on_the_ring_say() -> None:
    text = text_of("docs/lsgan.md")
    gan = sorted(last_values("lsgan-study-ring", "gan-"), key=lambda v: v["share_modes_covered"])
    few, some, more = (round(8 * v["share_modes_covered"]) for v in gan[:3])
    collapsed, others = (between([v["wasserstein_exact"] for v in part]) for part in (gan[:3], gan[3:]))
    assert f"collapsed in three seeds ({few}, {some} and {more} modes; $W_1$ {collapsed})" in text
    assert f"than LSGAN did ($W_1$ {others})" in text
    lsgan = between([v["wasserstein_exact"] for v in last_values("lsgan-study-ring", "lsgan-")])
    assert f"$W_1$ to the data {lsgan})" in text


def test_what_the_other_runs_of_a_core_in_colour_took() -> None:
    text = text_of("docs/results.md")
    names = ("wgan-cifar10", "pggan-cifar10", "wgan_gp-celeba", "infogan-cifar10", "gan-cifar10")
    wgan, photographs, faces, infogan, gan = runs = [record(f"{name}-seed0") for name in names]
    assert f"WGAN's on CIFAR-10 ({wgan['commit'][:7]}) two hours" in text
    assert f"PGGAN's on CIFAR-10 ({photographs['commit'][:7]})" in text
    assert f"WGAN-GP's on faces ({faces['commit'][:7]}) an hour and a half" in text
    assert f"InfoGAN's ({infogan['commit'][:7]}) and GAN's ({gan['commit'][:7]}) on CIFAR-10 forty minutes" in text
    on_faces = record("gan-celeba64-seed0")
    assert f"GAN's on faces ({on_faces['commit'][:7]}) under an hour" in text
    assert 3_000 < on_faces["wall_time_s"] < 3_600
    assert f"`--model.information_weight {infogan['overrides']['--model.information_weight']}`" in text
    for run, seconds in zip(runs, (7_200, 5_400, 5_400, 2_400, 2_400), strict=True):
        assert run["wall_time_s"] == pytest.approx(seconds, rel=0.15)


def test_what_decides_the_log_likelihood_of_table_1() -> None:
    page, study = text_of("docs/gan.md"), record("gan-study-parzen")
    found = {name.removesuffix(", seed0"): value for name, value in study["findings"].items()}
    best, last = (
        next(test["values"]["parzen_ll"] for test in study["records"]["seed0"]["tests"] if test["checkpoint"] == at)
        for at in ("best.ckpt", "last.ckpt")
    )
    assert f"{last:.0f} nats at the end, {best:.0f} at the checkpoint that" in page
    assert f"(epoch {found['epoch of the best parzen_ll_validation']:.0f}); 225 are reported" in page
    assert f"the missing {225 - last:.0f} nats" in page
    usual, most, few = (found[f"parzen_ll, {n} samples"] for n in ("10,000", "40,000", "1,000"))
    assert f"checkpoint has {most:.0f} nats, with 1,000 it has {few:.0f}." in page
    assert f"it would be {most:.0f}" in text_of("README.md")
    finer = found["parzen_ll, sigma of a finer grid"]
    assert f"A finer grid of widths is worth {finer - usual:.0f} nats" in page
    assert found["parzen_ll, sigma by the test images"] == pytest.approx(finer, abs=0.1)
    assert found["parzen_ll, sigma by all validation images"] == pytest.approx(usual, abs=0.1)
    assert all(abs(found[f"parzen_ll, latents {draw}"] - usual) < 1 for draw in (1, 2))
    tenth, half = (usual - found[f"parzen_ll, {share} of G's units dropped"] for share in (0.1, 0.5))
    assert f"costs: {tenth:.0f} nats where a tenth of its units are dropped, {half:.0f} with half" in page


def test_what_dcgans_conditional_digits_reach() -> None:
    run, page = record("dcgan-mnist_conditional-seed0"), text_of("docs/dcgan.md")
    share = round(100 * run["images_seen"] / script_of("dcgan").recipes["mnist_conditional"].config["images"])
    reached = {test["checkpoint"]: test["values"] for test in run["tests"]}["last.ckpt"]
    assert f"digits have had {share} % of the recipe's images" in page
    assert f"errs on {100 * reached['error_1nn50k']:.2f} % of the test digits; its error was lowest at the end" in page
    assert run["measures"]["error_1nn50k"]["best"]["images_seen"] == run["images_seen"]
    assert f"the smallest `fd_lenet` of all digits here, {reached['fd_lenet']:.4g}" in page
    distances = [
        test["values"]["fd_lenet"] for other in all_records() for test in other["tests"] if "fd_lenet" in test["values"]
    ]
    assert min(distances) == reached["fd_lenet"]
    assert pytest.approx(run["wall_time_s"], rel=0.1) == 3_600
    error = f"{100 * reached['error_1nn50k']:.2f} %, is of {share} % of the training"
    assert error in text_of("README.md")
    assert f"`mnist_conditional` has had {share} % of its recipe's images" in text_of("docs/results.md")


@pytest.mark.parametrize("page", ["docs/gan.md", "docs/cgan.md"])
def test_images_that_choose_the_parzen_width(page: str) -> None:
    assert f"of the other 10,000 the first {VALIDATION_IMAGES:,} " in text_of(page)


def test_members_of_infogans_study_of_codes() -> None:
    names = list(script_of("infogan").studies["codes"].members)
    paper, long = (sum(name.startswith(arm) for name in names) for arm in ("paper-", "twice_as_long-"))
    counts = f"{paper} seeds of the paper's settings; {len(names) - paper - long} shorter ones with one or two settings"
    assert f"{counts} changed; {long} twice as long" in text_of("docs/sweeps.md")


@pytest.mark.parametrize(
    ("study", "settings"), re.findall(r"`(\w+ --name \w+)` \| (\d+) settings \|", text_of("docs/sweeps.md"))
)
def test_settings_that_a_search_has(study: str, settings: str) -> None:
    paper, _, name = study.split()
    assert len(script_of(paper).studies[name].members) == int(settings)


def test_what_fine_tuning_to_cars_ends_at() -> None:
    text = text_of("README.md")

    def ends(paper: str, arm: str) -> str:
        values = [
            v["fd_efficientnet500_validation"] for v in last_values(f"{paper}-study-finetune_colour", f"{arm}-seed")
        ]
        assert len(values) == 3
        return f"{statistics.mean(values):.0f} +/- {statistics.stdev(values):.0f}"

    dcgan, stylegan = (
        {arm: ends(paper, arm) for arm in ("finetuned", "freeze-1", "augmented", "scratch", "scratch-augmented")}
        for paper in ("dcgan", "stylegan")
    )
    assert (
        f"{dcgan['augmented']} with `--augment`, {dcgan['finetuned']} without, {dcgan['freeze-1']} with D's first "
        f"block frozen; {dcgan['scratch']} and (augmented) {dcgan['scratch-augmented']} from scratch"
    ) in text
    assert (
        f"ends at {stylegan['finetuned']} fine-tuned, {stylegan['freeze-1']} with D's first block frozen, "
        f"{stylegan['augmented']} with `--augment`, and at {stylegan['scratch']} and (augmented) "
        f"{stylegan['scratch-augmented']} [from scratch]"
    ) in text
    resnet = {
        arm: statistics.mean(
            v["fd_resnet500_validation"] for v in last_values("dcgan-study-finetune_colour", f"{arm}-seed")
        )
        for arm in dcgan
    }
    assert (
        f"(`fd_resnet`): {resnet['freeze-1']:.1f} with the block frozen, {resnet['finetuned']:.1f} without, "
        f"{resnet['augmented']:.1f} with `--augment`; {resnet['scratch']:.1f} and (augmented) "
        f"{resnet['scratch-augmented']:.1f} from scratch"
    ) in text


def test_every_run_in_colour_is_told_with_its_hardware() -> None:
    """The page says what each had: those of one commit the H200, all others a core. DCGAN's faces were left out."""
    text, machines = text_of("docs/results.md"), {}
    for name in {file.stem for file in (ROOT / "reproductions/records").glob("*-seed0.json")}:
        run = record(name)
        if run["dataset"]["name"].startswith(("CIFAR10", "CelebA")):
            machines[run["commit"][:7]] = bool(run["hardware"]["gpus"])
    assert [commit for commit in machines if f"({commit})" not in text and f"commit {commit} " not in text] == []
    assert [commit for commit, gpu in machines.items() if gpu] == ["7132784"]
    slow = record("dcgan-celeba_community-seed0")
    assert f"DCGAN's on faces ({slow['commit'][:7]}) and StyleGAN's" in text
    assert slow["wall_time_s"] == pytest.approx(7_200, rel=0.1)


def test_releases_whose_samples_leave_nearly_all_photographs_out() -> None:
    figures = {path.parent.name: json.loads(path.read_text())["figures"] for path in SHIPPED.glob("*/card.json")}
    few = {name: of["recall_resnet10k"] for name, of in figures.items() if of.get("recall_resnet10k", 1) < 0.1}
    assert few.keys() == {"gan.cifar10", "gan.celeba64"}
    assert (
        f"GAN 2014's two releases in colour ({few['gan.cifar10']:.2f} on CIFAR-10, {few['gan.celeba64']:.3f} on faces)"
    ) in text_of("docs/measures.md")


@pytest.mark.parametrize("data", ["cifar10", "celeba64"])
def test_gans_photographs_are_the_farthest_from_their_data(data: str) -> None:
    cards = {path.parent.name: json.loads(path.read_text())["figures"] for path in SHIPPED.glob(f"*.{data}/card.json")}
    for name in ("fd_resnet10k", "fd_efficientnet10k"):
        distances = {release: figures[name] for release, figures in cards.items() if name in figures}
        assert max(distances, key=lambda release: distances[release]) == f"gan.{data}"
    assert cards[f"gan.{data}"]["recall_efficientnet10k"] < 0.01
    assert "of all releases these are the farthest from their data, with next to no recall" in text_of("docs/gan.md")


def test_how_many_releases_there_are_and_what_one_takes() -> None:
    assert f"All {len(list_pretrained())} are there." in text_of("README.md")
    assert {target.name for target in TARGETS} == set(list_pretrained())
    assert "exports one anew, in an hour or two of one core." in text_of("README.md")
    assert {60, 120} <= {target.minutes for target in TARGETS} <= set(range(60, 121))


def test_every_measure_that_the_tables_show_is_explained() -> None:
    """By its own name, or by one of its family, in the table of names."""
    (table,) = (table for table in tables((ROOT / "docs/README.md").read_text()) if table[0] == ["name", "what"])
    rows = " ".join(" ".join(row) for row in table)
    explained = {found.measure.name for name in spans(rows) if (found := MEASURES.find(name))}
    explained |= {name.partition("_")[0] for name in spans(rows) if name.endswith("_...")}
    tests = [test for run in all_records() for test in run["tests"]]
    shown = {name for test in tests for name in test["values"] if not MEASURES.is_secondary(name)}
    told = {name for name in shown if (found := MEASURES.find(name)) and found.measure.name in explained}
    assert sorted(shown - told - {name for name in shown if f"`{name}`" in rows}) == []


def test_which_recipes_on_images_choose_no_best_checkpoint() -> None:
    without = {
        (paper, name)
        for paper in MODELS
        for name, recipe in script_of(paper).recipes.items()
        if not recipe.config["keep"].get("monitor") and "Points" not in recipe.config["data"]["class_path"]
    }
    assert {name for _, name in without} == {"mnist_1000", "mnist_1000_clip", "digits_random", "digits_random_gan"}
    assert "chooses it, as nearly all recipes on images do" in text_of("README.md")


def test_every_recipe_of_photographs_measures_draws_and_chooses_while_training() -> None:
    assert "Photographs have precision and recall at each evaluation" in text_of("docs/measures.md")
    settings = [
        (paper, name, recipe.config["evaluation"].get("every"), recipe.config["keep"].get(kept))
        for paper in MODELS
        for name, recipe in script_of(paper).recipes.items()
        for kept in ("monitor", "grid_every")
        if recipe.config["data"]["class_path"].rpartition(".")[2] in ("CIFAR10", "CelebA", "ImageFolder")
    ]
    assert len(settings) >= 2 * 60
    assert [entry for entry in settings if not all(entry)] == []


def test_what_fine_tuning_to_nines_takes() -> None:
    text, study = text_of("README.md"), record("dcgan-study-finetune")
    shares = [
        f"{100 * study['findings'][f'share_of_images_{arm}']:.0f} %" for arm in ("finetuned", "freeze-1", "freeze-2")
    ]
    assert f"is after {shares[0]} of the images as near to the nines" in text
    assert f"({shares[1]} with D's first block frozen, {shares[2]} with two)" in text
    tuned, scratch = (last_values("dcgan-study-finetune", arm)[0]["fd_lenet"] for arm in ("finetuned", "scratch"))
    assert f"at a `fd_lenet` of {tuned:.1f} against {scratch:.1f}" in text
