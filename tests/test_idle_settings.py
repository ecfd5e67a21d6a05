"""Settings of a model that another one leaves without effect: refused where somebody chose them, and only there."""

from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from command_line import refused

from zoo.errors import UsageError
from zoo.models import TRAINED
from zoo.models.base.build import outline
from zoo.training.idle import IDLE, refuse_idle
from zoo.training.plan import make_plan
from zoo.training.scripts import script_of
from zoo.training.words import Words

#: A value of each that is not its default.
OTHER: dict[str, Any] = {
    **dict.fromkeys(("lr_decay",), 1.5),
    **dict.fromkeys(("lr_min", "clip", "gain_std", "momentum_start", "momentum_end"), 1e-4),
    **dict.fromkeys(("momentum_epochs", "images_per_epoch", "decay_images", "decay_steps"), 77),
    **dict.fromkeys(("momentum_first_epoch", "generator_batch", "n_critic", "categories", "group_size"), 3),
    **dict.fromkeys(("architecture_seed", "truncation_cutoff"), 2),
    **dict.fromkeys(("beta1", "beta2", "dropout", "input_dropout", "mixing_prob", "w_average_beta"), 0.25),
    **dict.fromkeys(("a", "b", "c", "gp_weight", "drift", "r1_gamma", "weight"), 0.5),
    **dict.fromkeys(("acgan_weight", "acgan_weight_D", "acgan_weight_G"), 0.5),
    **{"betas": (0.1, 0.2), "channels": 2, "resolution": 32, "width": 8, "filters": [4]},
    **{"batchnorm": "none", "sampling_dropout": False, "learn_sigma": True, "one_sided": True},
}
#: What a row's value needs beside it.
BESIDE: dict[tuple[str, str, Any], dict[str, Any]] = {
    ("lsgan", "batchnorm", "none"): {"network": "dcgan"},
    ("wgan_gp", "fixed_generator", True): {"network": "toy"},
}
ROWS = [(paper, by, value, names) for paper, rows in IDLE.items() for by, values, names in rows for value in values[:2]]


@pytest.mark.parametrize(("paper", "by", "value", "names"), ROWS)
def test_they_change_neither_networks_nor_optimizers(paper: str, by: str, value: Any, names: tuple[str, ...]) -> None:
    kind, settings = TRAINED[paper], {by: value, **BESIDE.get((paper, by, value), {})}

    def made(**others: Any) -> tuple[object, ...]:
        module = outline(kind, {**settings, **others})
        shapes = [(name, tensor.shape) for name, tensor in module.state_dict().items()]
        groups = [{**g, "params": len(g["params"])} for o in module.configure_optimizers() for g in o.param_groups]
        return shapes, groups, module.image_shape, module.z_dim

    assert made() == made(**{name: OTHER[name] for name in names})
    for name in names:
        with pytest.raises(UsageError, match=f"--model.{name} .* does nothing where {by} is {value}: leave it out"):
            refuse_idle(kind, {**settings, name: OTHER[name]}, chosen=[f"model.{name}"])
        refuse_idle(kind, {**settings, name: OTHER[name]}, chosen=[])  # a file of settings holds all of them


def test_a_run_is_not_begun_with_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ["fit", "--recipe", "ring", "--run_dir", str(tmp_path / "run"), "--model.loss", "gan", "--model.a", "0.5"]
    assert "--model.a 0.5 does nothing where loss is gan: leave it out" in refused(capsys, "lsgan", *options)
    assert not (tmp_path / "run").exists()


def test_the_optimizer_that_a_method_brings_counts_as_chosen() -> None:
    settings = {"method": "wgan", "optimizer": None, "beta1": 0.9}
    with pytest.raises(UsageError, match=r"beta1 0\.9 does nothing where optimizer is rmsprop"):
        refuse_idle(TRAINED["wgan_gp"], settings, chosen=["model.beta1"])


@pytest.mark.parametrize(
    ("paper", "settings", "says"),
    [
        (
            "infogan",
            {"network": "celeba", "continuous": None, "learn_sigma": True},
            "learn_sigma True .* continuous is 0",
        ),
        (
            "wgan",
            {"generator": "mlp", "critic": "mlp", "extra_layers": 2},
            "extra_layers 2 .* generator is mlp, and critic too",
        ),
    ],
)
def test_two_settings_together_leave_a_third_without_effect(paper: str, settings: dict[str, Any], says: str) -> None:
    *beside, name = settings
    with pytest.raises(UsageError, match=says):
        refuse_idle(TRAINED[paper], settings, chosen=[f"model.{name}"])
    for other in beside:  # without either of them it has one
        refuse_idle(TRAINED[paper], {**settings, other: "another"}, chosen=[f"model.{name}"])


@pytest.mark.parametrize("paper", ["pggan", "stylegan"])
def test_the_batch_of_networks_that_grow_is_their_schedules(paper: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, paper, "fit", "--recipe", "digits", "--data.batch_size", "8", "--run_dir", "run")
    assert "--data.batch_size does nothing: the batches of" in said
    assert "--model.batch_sizes" in said
    batch_sizes = {"batch_sizes": {4: 8}, "devices": 2}
    if paper == "stylegan":
        with pytest.raises(UsageError, match=r"--model\.devices 2 does nothing where batch_sizes is \{4: 8\}"):
            refuse_idle(TRAINED[paper], batch_sizes, chosen=["model.devices"])


def test_what_somebody_chose_is_found_beside_tables_by_resolution(tmp_path: Path) -> None:
    """Batch sizes have whole numbers as names, in recipes and in files of --config."""
    file = tmp_path / "own.yaml"
    file.write_text("model:\n  batch_sizes: {4: 8}\n  gp_weight: 3.0\n")
    plan = make_plan(
        Words.of(["fit", "--recipe", "digits", "--config", str(file)]),
        paper="stylegan",
        recipes=script_of("stylegan").recipes,
    )
    assert {"model.batch_sizes.4", "model.gp_weight"} <= plan.named


@pytest.mark.parametrize("paper", IDLE)
def test_no_recipe_has_one(paper: str) -> None:
    defaults = {name: setting.default for name, setting in signature(TRAINED[paper]).parameters.items()}
    for recipe in script_of(paper).recipes.values():
        model = recipe.config["model"]
        refuse_idle(TRAINED[paper], {**defaults, **model}, chosen=[f"model.{name}" for name in model])
