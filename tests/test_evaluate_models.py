"""`zoo evaluate` on models: a run, its checkpoints, a release."""

import json
from functools import partial

import command_line
import pytest

from zoo.errors import ZooError
from zoo.metrics import Evaluator, LeNetExtractor
from zoo.metrics.resnet import ResNetExtractor
from zoo.models.dcgan import DCGAN
from zoo.training import reproduce
from zoo.training.recipes import Recipe

run = partial(command_line.run, "evaluate")


@pytest.mark.parametrize(
    ("options", "samples"),
    [
        (("--features", "inception,lenet"), [50_000, 10_000]),
        (("--features", "inception,lenet", "--samples", "70"), [70, 70]),
        ((), [10_000]),
    ],
)
def test_without_a_number_each_network_takes_the_samples_it_is_due(options, samples, monkeypatch):
    """As --samples says in the help: 50,000 for Inception, whatever the data's own network."""
    networks = iter([ResNetExtractor(), LeNetExtractor()][-len(samples) :])
    monkeypatch.setattr(
        "zoo.commands.evaluate.command.load_extractors", lambda names, *_, **__: [next(networks) for _ in names]
    )

    def ask(evaluator, module):
        raise ZooError(f"{[column.n_fake for column in evaluator.columns]} of {evaluator.n_fake}")

    monkeypatch.setattr(Evaluator, "run", ask)
    with pytest.raises(ZooError) as asked:
        run("dcgan.mnist", "--data", "Digits", "--measures", "fd", *options)
    assert str(asked.value) == f"{samples} of {max(samples)}"


def trained_run(path):
    """A short run of DCGAN on the digits."""
    settings = {
        "model": {"network": "community", "resolution": 32, "channels": 1, "width": 8},
        "data": {"class_path": "zoo.data.Digits", "init_args": {"resolution": 32}},
        "images": 256,
    }
    reproduce(DCGAN, {"digits": Recipe("short", settings)}, arguments=["fit", "--run_dir", str(path)])
    return path


def test_a_run_with_seeds_and_its_checkpoint(tmp_path, capsys):
    path = trained_run(tmp_path / "run")
    out = tmp_path / "figures.json"
    options = ("--samples", "60", "--reals", "300", "--measures", "fd", "--json", out, "--batchnorm", "running")
    run(path, *options)
    single = json.loads(out.read_text())
    assert single["subject"]["paper"] == "dcgan"
    assert single["subject"]["images_seen"] == 256
    run(path / "checkpoints" / "last.ckpt", "--seeds", "0,1", *options)
    several = json.loads(out.read_text())
    assert several["subject"]["seeds"] == [0, 1]
    assert several["values"]["fd_lenet60_seed_std"]["value"] > 0
    spread = several["values"]["fd_lenet60_seed_std"]["value"]
    apart = abs(several["values"]["fd_lenet60"]["value"] - single["values"]["fd_lenet60"]["value"])
    assert apart == pytest.approx(spread / 2**0.5, rel=1e-6)  # of two values
    assert "over latent seeds, not trainings" in capsys.readouterr().out
    released = tmp_path / "released.ckpt"
    released.write_bytes((path / "checkpoints" / "last.ckpt").read_bytes())
    run(released, "--data", "Digits", *options)
    assert json.loads(out.read_text())["values"] == single["values"]
    with pytest.raises(ZooError, match="name the data set with --data"):
        run(released, *options)
    with pytest.raises(ZooError, match="no data set 'Cats'"):
        run(released, "--data", "Cats", *options)
    with pytest.raises(ZooError, match="no averaged weights"):
        run(path, "--weights", "ema", *options)
    with pytest.raises(ZooError, match="integers"):
        run(path, "--seeds", "a", *options)


def test_a_release_is_measured_by_name_and_by_folder(tmp_path):
    from zoo.releases.find import SHIPPED

    with pytest.raises(ZooError, match=r"there is no release 'dcgan\.moon'"):
        run("dcgan.moon")
    for target in ("dcgan.mnist", SHIPPED / "dcgan.mnist"):
        out = tmp_path / "figures.json"
        settings = ("--samples", 120, "--reals", 200, "--measures", "fd", "--batchnorm", "running")
        run(target, "--data", "Digits", *settings, "--json", out)
        assert json.loads(out.read_text())["values"]["fd_lenet120"]["value"] < 150
