"""Generators as files that run without this package: the images are the module's, for every paper."""

import ast
import json
import os
import sys
from pathlib import Path

import pytest
import torch
from registry import SMALL

from zoo.__main__ import main
from zoo.errors import ReleaseError, UsageError
from zoo.models import MODELS
from zoo.models.benchmark import Benchmark
from zoo.releases.about import metadata_of, origin_of, readme_of_export
from zoo.releases.portable import (
    METADATA_FILE,
    TOLERANCE,
    Choices,
    GeneratorGraph,
    checked,
    refuse_choices,
    write_onnx,
    write_program,
)
from zoo.releases.snippets import onnx_snippet, torch_snippet

TINY = {"pggan": {"resolution": 8, "num_classes": 3}, "stylegan": {"resolution": 8}}


def tiny(paper):
    torch.manual_seed(0)
    return MODELS[paper](**SMALL[paper].model | TINY.get(paper, {})).eval()


#: Those whose graphs have something of their own (labels, codes, growth, styles), and, slow, all others.
OWN = ("cgan", "infogan", "pggan", "stylegan")
PAPERS = [*OWN, *(pytest.param(paper, marks=pytest.mark.slow) for paper in MODELS if paper not in OWN)]


def choices_of(paper):
    return Choices(truncation="input", noise="input") if paper == "stylegan" else Choices()


@pytest.mark.parametrize("paper", MODELS)
def test_a_latent_has_the_distribution_that_is_written_into_files(paper):
    module = tiny(paper)
    z = module.latents(4000, generator=torch.Generator().manual_seed(0))
    assert sum(part.columns for part in module.prior) == z.shape[1]
    for part, block in zip(module.prior, z.split([part.columns for part in module.prior], 1), strict=True):
        if part.distribution == "one-hot":
            assert block.sum(1).eq(1).all()
            assert block.mean(0).sub(1 / part.columns).abs().max() < 0.03
        elif part.distribution == "uniform":
            assert part.low <= block.min() < part.low + 0.01 * (part.high - part.low)
            assert part.high - 0.01 * (part.high - part.low) < block.max() <= part.high
        else:
            assert block.mean().abs() < 0.05
            assert block.std().sub(1).abs() < 0.05
            assert block.abs().max() > 3


@pytest.fixture(scope="module")
def described():
    """Files say where their model came from: here, from nowhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.releases.about.origin_of", lambda model: {"name": "a.model"})
        patch.setattr("zoo.releases.about.class_names", lambda model: ["zero", "one"])
        yield


@pytest.fixture(scope="module", params=PAPERS)
def program(request, tmp_path_factory, described):
    """A paper's graph, the program it was written as, and its metadata."""
    graph = GeneratorGraph(tiny(request.param), choices_of(request.param))
    path = tmp_path_factory.mktemp("programs") / "file.pt2"
    metadata = metadata_of(graph, "a.model")
    assert write_program(graph, path, metadata) <= TOLERANCE
    return graph, path, metadata


def test_a_program_makes_the_modules_images_of_any_batch(program, monkeypatch):
    """Also with the lines of its README, which need torch alone."""
    graph, path, metadata = program
    extra = {METADATA_FILE: ""}
    run = torch.export.load(path, extra_files=extra).module()
    assert json.loads(extra[METADATA_FILE]) == metadata
    inputs = graph.example(2, seed=7)
    z = inputs.pop("z")
    images = run(z, **inputs)
    assert images.shape == (2, *graph.module.image_shape)
    assert torch.equal(images, graph(z, **inputs))
    if "noise" not in inputs:  # then the module has a way of its own
        torch.testing.assert_close(images, graph.module.generate(z, inputs.get("labels")), atol=1e-6, rtol=0)
    assert not [name for name, _ in run.named_parameters() if ".D." in name]
    readme = readme_of_export(path.name, metadata, form="torch-export")
    assert ("- classes: zero, one" in readme) == bool(graph.module.num_classes)  # those that it tells apart
    monkeypatch.chdir(path.parent)
    found = {}
    exec(readme.split("```python\n")[1].split("```")[0], found)
    assert found["images"].shape == (16, *graph.module.image_shape)
    assert found["images"].abs().max() <= 1


def test_a_program_says_nothing_of_the_machine_that_made_it(program):
    _, path, _ = program
    assert b".py" not in path.read_bytes()


def test_stylegans_truncation_and_noise_are_those_of_the_module():
    module = tiny("stylegan")
    with torch.no_grad():
        for layer in range(4):
            module.G_ema.synthesis.stages[layer // 2].get_submodule(f"epilogue{layer % 2 + 1}").noise_scale.fill_(1.0)
        module.G_ema.w_average.fill_(0.3)
    z = module.latents(3, generator=torch.Generator().manual_seed(1))
    for choices, inputs, settings in (
        (Choices(), {}, {"noise": "const"}),
        (Choices(noise="none", truncation=0.5), {}, {"noise": "none", "truncation_psi": 0.5}),
        (Choices(truncation="input"), {"truncation_psi": torch.tensor(0.2)}, {"noise": "const", "truncation_psi": 0.2}),
    ):
        expected = module.images_from(z, **settings)
        torch.testing.assert_close(GeneratorGraph(module, choices)(z, **inputs), expected, atol=1e-6, rtol=0)
        other = module.images_from(z, noise="const", truncation_psi=0.9)
        assert (other - expected).abs().max() > 1e-3


def test_a_class_can_be_a_constant_and_pixels_can_be_bytes():
    module = tiny("pggan")
    z = module.latents(2)
    images = GeneratorGraph(module, Choices(label=2))(z)
    torch.testing.assert_close(images, module.generate(z, torch.tensor([2, 2])))
    pixels = GeneratorGraph(module, Choices(label=2, pixels="uint8"))(z)
    assert pixels.shape == (2, 3, 8, 8)
    assert torch.equal(pixels[:, 1], ((images[:, 0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8))


def test_a_program_of_bytes_can_be_written(tmp_path, described):
    """Tracing stopped once where a value of the images was looked at."""
    graph, path = GeneratorGraph(tiny("dcgan"), Choices(pixels="uint8")), tmp_path / "file.pt2"
    assert write_program(graph, path, metadata_of(graph, "a.model")) <= 1
    images = torch.export.load(path).module()(graph.example(2, seed=0)["z"])
    assert images.dtype == torch.uint8
    assert images.shape == (2, 3, *graph.module.image_shape[1:])


@pytest.mark.parametrize(
    ("paper", "choices", "text"),
    [
        ("dcgan", Choices(label=1), "unconditional: leave --label out"),
        ("cgan", Choices(label=10), "--label is from 0 to 9, not 10"),
        ("wgan", Choices(truncation=0.5), "no truncation trick"),
        ("pggan", Choices(noise="input"), "no noise inputs"),
    ],
)
def test_choices_that_a_model_does_not_have_are_refused(paper, choices, text):
    with pytest.raises(UsageError, match=text):
        refuse_choices(tiny(paper), choices)


def test_what_is_no_papers_is_refused():
    with pytest.raises(UsageError, match="Benchmark is no paper's model: files are made of gan, dcgan"):
        GeneratorGraph(Benchmark(width=2, resolution=8), Choices())


@pytest.mark.parametrize("command", ["sample", "export"])
def test_a_truncation_that_is_no_number_is_refused(command, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["zoo", command, "stylegan.mnist", "--truncation", "nan"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "--truncation: must be a number, not 'nan'" in capsys.readouterr().err


def test_a_file_that_makes_other_images_is_not_kept(tmp_path):
    graph = GeneratorGraph(tiny("dcgan"), Choices())
    with pytest.raises(ReleaseError, match=r"was not written: its images differ from the module's by 0\.00"):
        checked(graph, lambda inputs: graph(**inputs) + 2e-4, tmp_path / "dcgan.onnx")


def test_the_page_shows_the_lines_that_a_readme_has():
    page = (Path(__file__).parents[2] / "docs/export.md").read_text()
    prior, inputs = [{"columns": 100, "distribution": "normal"}], {"z": {}}
    assert f"```python\n{onnx_snippet('digits.onnx', prior, inputs)}\n```" in page
    assert f"```python\n{torch_snippet('digits.pt2', prior, inputs)}\n```" in page


def test_without_onnx_one_line_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setattr(sys, "argv", ["zoo", "export", "dcgan.mnist", "--to", "onnx"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "needs onnx" in line
    assert "pip install onnx" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("paper", MODELS)
def test_an_onnx_file_makes_the_modules_images_in_onnxruntime(paper, tmp_path, monkeypatch, described):
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    monkeypatch.chdir(tmp_path)
    graph = GeneratorGraph(tiny(paper), choices_of(paper))
    metadata = metadata_of(graph, "a.model")
    assert write_onnx(graph, tmp_path / "file.onnx", metadata) <= TOLERANCE
    model = onnx.load(tmp_path / "file.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert {entry.key: entry.value for entry in model.metadata_props} == metadata
    assert b".py" not in (tmp_path / "file.onnx").read_bytes()
    session = onnxruntime.InferenceSession(tmp_path / "file.onnx")
    assert [value.name for value in session.get_inputs()] == [*json.loads(metadata["inputs"])]
    found = {}
    exec(readme_of_export("file.onnx", metadata, form="onnx").split("```python\n")[1].split("```")[0], found)
    assert found["images"].shape == (16, *graph.module.image_shape)


def test_a_file_whose_images_are_nan_is_not_kept(tmp_path):
    graph = GeneratorGraph(tiny("dcgan"), Choices())
    with pytest.raises(ReleaseError, match="differ from the module's by nan"):
        checked(graph, lambda inputs: graph(**inputs) * torch.nan, tmp_path / "dcgan.onnx")


def test_the_lines_of_a_readme_take_any_name():
    prior, inputs = [{"columns": 100, "distribution": "normal"}], {"z": {}}
    for name in ('a"b.pt2', "a\\b.pt2", "a\nb.pt2", "é.pt2"):
        for lines in (onnx_snippet(name, prior, inputs), torch_snippet(name, prior, inputs)):
            names = [node.value for node in ast.walk(ast.parse(lines)) if isinstance(node, ast.Constant)]
            assert name in names


def test_a_readme_of_a_file_of_any_name_can_be_written(described):
    graph = GeneratorGraph(tiny("dcgan"), Choices())
    odd = os.fsdecode(b"o\xff.pt2")
    text = readme_of_export(odd, metadata_of(graph, "a.model"), form="torch-export")
    text.encode()
    (line,) = (line for line in text.splitlines() if "torch.export.load" in line)
    assert odd in [node.value for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Constant)]


@pytest.mark.parametrize(
    ("paper", "settings", "choices", "constants", "classes"),
    [
        ("dcgan", {}, Choices(), {}, False),  # of labelled data, to which it is blind
        ("cgan", {}, Choices(), {}, True),
        ("cgan", {}, Choices(label=1), {"label": 1}, True),
        ("stylegan", {"config": "A"}, Choices(), {}, False),
        ("stylegan", {"config": "C"}, Choices(), {"truncation_psi": None}, False),
        ("stylegan", {}, Choices(truncation="input"), {"noise": "const"}, False),
        ("stylegan", {}, Choices(truncation="input", noise="input"), {}, False),
        ("stylegan", {}, Choices(truncation=0.5, noise="none"), {"truncation_psi": 0.5, "noise": "none"}, False),
    ],
)
def test_a_readme_says_nothing_that_the_file_has_not(paper, settings, choices, constants, classes, monkeypatch):
    """Neither classes, noise and truncation of a model without, nor the release's figures as those of a psi of 0.5."""
    monkeypatch.setattr("zoo.releases.about.origin_of", lambda model: {"name": "a.model", "figures": "fd 12"})
    monkeypatch.setattr("zoo.releases.about.class_names", lambda model: ["zero", "one"])
    module = MODELS[paper](**SMALL[paper].model | TINY.get(paper, {}) | settings).eval()
    metadata = metadata_of(GeneratorGraph(module, choices), "a.model")
    assert json.loads(metadata["constants"]) == constants
    fixed = [name for name, value in constants.items() if value is not None]
    without = f" (without the constants of this file: {', '.join(fixed)})" if fixed else ""
    text = readme_of_export("file.pt2", metadata, form="torch-export")
    assert f"- figures: fd 12{without}\n" in text
    assert ("- classes: zero, one" in text) == ("class_names" in metadata) == classes


def test_where_a_file_comes_from_is_told_as_far_as_it_is_known(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "config.yaml").write_text("model: of something else")
    odd = tmp_path / "weights" / os.fsdecode(b"la\xffst.ckpt")
    assert origin_of(str(odd)) == {"name": "la\\udcffst"}


def test_a_model_that_is_not_there_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["zoo", "export", "runs/nowhere", "--to", "torch-export"])
    with pytest.raises(SystemExit):
        main()
    assert not list(tmp_path.iterdir())
