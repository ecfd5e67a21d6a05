"""A release as an ONNX file through torch-fidelity's own command line, and the module through the evaluator."""

import json

import numpy as np
import pytest
import torch
import torch_fidelity
from PIL import Image
from test_agreement import Theirs, reference
from torch_fidelity import fidelity
from torch_fidelity.noise import random_normal

from zoo import load_pretrained
from zoo.__main__ import main
from zoo.data import Digits
from zoo.data.arrays import fixed_order
from zoo.metrics import Evaluator, LeNetExtractor
from zoo.metrics.quantize import to_uint8

REAL, FAKE, BATCH, SEED = 3000, 2000, 250, 7
NAME = "lenet-of-onnx"
OPTIONS = ["--input1-model-z-type", "normal", "--input1-model-num-samples", str(FAKE), "--rng-seed", str(SEED)]
OPTIONS += ["--batch-size", str(BATCH), "--feature-extractor", NAME, "--samples-find-ext", "png"]
OPTIONS += ["--no-samples-shuffle", "--cpu", "--json", "--silent", "--no-cache", "--fid", "--isc", "--prc", "--kid"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Real digits as RGB, uint8 [N, 3, 32, 32], and a folder with each as a file."""
    torch_fidelity.register_feature_extractor(NAME, Theirs)
    images = Digits(resolution=32).split("train").images[:REAL].expand(-1, 3, -1, -1).contiguous()
    folder = tmp_path_factory.mktemp("digits")
    for i, image in enumerate(images):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{i:04}.png")
    return images, folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcgan.mnist", "pggan.mnist"])
def test_torch_fidelity_takes_the_file_and_finds_our_figures(name, digits, tmp_path, monkeypatch, capsys):
    """The same latents give the same figures; the evaluator's own latents give them within what chance does."""
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    images, folder = digits
    file = tmp_path / "generator.onnx"
    monkeypatch.setattr("sys.argv", ["zoo", "export", name, "--to", "onnx", "--pixels", "uint8", "--out", str(file)])
    main()
    module = load_pretrained(name)
    inputs = ["--input1", str(file), "--input1-model-z-size", str(module.z_dim), "--input2", str(folder)]
    monkeypatch.setattr("sys.argv", ["fidelity", *inputs, *OPTIONS])
    capsys.readouterr()
    fidelity.main()
    theirs = json.loads(capsys.readouterr().out)

    stream = np.random.RandomState(SEED)
    latents = [random_normal(stream, (BATCH, module.z_dim)) for _ in range(FAKE // BATCH)]
    with torch.no_grad():
        drawn = torch.cat([to_uint8(module.eval().generate(z, None)) for z in latents]).expand(-1, 3, -1, -1)
    fakes = torch.empty_like(drawn)
    fakes[fixed_order(FAKE)] = drawn  # the Inception Score splits files in this order
    settings = {"n_real": REAL, "n_fake": FAKE, "measures": ["fd", "is", "kd", "pr"]}
    ours = Evaluator([LeNetExtractor()], data=reference(images), **settings).run_images(fakes).values
    found = {
        "fd_lenet2k": theirs["frechet_inception_distance"],
        "is_lenet2k": theirs["inception_score_mean"],
        "is_lenet2k_std": theirs["inception_score_std"],
        "precision_lenet2k": theirs["precision"],
        "recall_lenet2k": theirs["recall"],
    }
    # onnxruntime's images differ by 1e-5, which moves a pixel in a million to the next grey level
    assert {measure: ours[measure] for measure in found} == pytest.approx(found, rel=2e-3)
    kid = "kd_lenet2k"
    assert abs(ours[kid] - theirs["kernel_inception_distance_mean"]) < 4 * ours[f"{kid}_std"] / 10  # of 100 subsets

    settings["weights"] = "raw" if module.G_ema is None else "ema"
    again = Evaluator([LeNetExtractor()], data=reference(images[:, :1]), **settings).run(module).values
    assert again["fd_lenet2k"] == pytest.approx(found["fd_lenet2k"], rel=0.25)  # over seeds: std 0.07 of the mean
    assert again["precision_lenet2k"] == pytest.approx(found["precision_lenet2k"], abs=0.05)
