"""A generator as a graph that runs without this package: an ONNX file, or a program of torch.export.

The graph is traced from the module itself: weights averaged where the paper averages them, evaluation mode, the stage
that training has reached, images [N, C, H, W]. The batch N is dynamic. Needs torch 2.6, the first version whose
torch.onnx.export takes a traced program (`dynamo=True`); 2.14 is the one it was tested with.
"""

import copy
import io
import json
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import ReleaseError, UsageError
from zoo.metrics.quantize import rounded
from zoo.models import MODELS
from zoo.models.base.growing import GrowingModule
from zoo.models.base.module import AdversarialModule
from zoo.models.networks.stylegan_sampling import StyleSampling
from zoo.runs.extras import is_installed, require
from zoo.runs.folder import replacing

TOLERANCE = 1e-4  # largest difference to the module's images in [-1, 1] with which a file is kept
METADATA_FILE = "metadata.json"  # in a program of torch.export: an extra file
TRACED, CHECKED = 4, (1, 3)  # sizes of batches: that of the trace, those that a file is tried with


class Choices(NamedTuple):
    """What of a generator is an input of the graph, and what is a constant in it.

    Attributes:
        label: the class of all images; None: an input, where the model is conditional.
        truncation: psi, "input", or None for no truncation.
        noise: of StyleGAN: "const" keeps the module's fixed maps in the graph, "input" takes maps, "none" has none.
        pixels: "float" in [-1, 1], or "uint8" RGB as torch-fidelity's command line wants it.
    """

    label: int | None = None
    truncation: float | Literal["input"] | None = None
    noise: Literal["const", "input", "none"] = "const"
    pixels: Literal["float", "uint8"] = "float"


class GeneratorGraph(nn.Module):
    """What is traced.

    Args:
        module: a trained model, which is copied; its D is left behind.
        choices: see there.

    Raises:
        UsageError: choices that the model does not have.
    """

    def __init__(self, module: AdversarialModule, choices: Choices) -> None:
        super().__init__()
        refuse_choices(module, choices)
        self.module = copy.deepcopy(module).cpu().eval().requires_grad_(False)
        self.module.D = nn.Identity()
        if self.module.G_ema is not None:
            self.module.G = nn.Identity()
        self.choices = choices

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None = None,
        truncation_psi: Tensor | None = None,
        noise: list[Tensor] | None = None,
    ) -> Tensor:
        """Images of latents z [N, z_dim], and, where they are inputs, labels int64 [N], psi [], maps [N, 1, r, r]."""
        if self.choices.label is not None:
            labels = torch.full((z.shape[0],), self.choices.label)
        if isinstance(self.module, StyleSampling):
            images = self.styled(self.module, z, truncation_psi=truncation_psi, noise=noise)
        else:
            images = self.module.generate(z, labels)
        if self.choices.pixels == "uint8":
            return rounded(images).expand(-1, 3, -1, -1)
        return images

    def styled(
        self, module: StyleSampling, z: Tensor, *, truncation_psi: Tensor | None, noise: list[Tensor] | None
    ) -> Tensor:
        """As `images_from`, for a batch of any size in one piece."""
        psi = self.choices.truncation
        w = module.styles(z, truncation_psi=truncation_psi if psi == "input" else psi)
        synthesis = module.G_ema.synthesis
        kind = self.choices.noise
        if noise is None and kind != "input":
            maps = synthesis.noise_maps(1, resolution=module.stage.resolution, kind=kind)
        else:
            maps = list(noise or [])
        return module.full_size(synthesis, w, maps).clamp(-1, 1)

    def example(self, n: int, *, seed: int) -> dict[str, Any]:
        """Inputs for n images by their names; `noise` is a list of maps, all else a tensor."""
        module, choices = self.module, self.choices
        z, labels = module.draw(n, seed=seed)
        inputs: dict[str, Any] = {"z": z}
        if labels is not None and choices.label is None:
            inputs["labels"] = labels
        if choices.truncation == "input":
            inputs["truncation_psi"] = torch.tensor(0.7)
        if isinstance(module, StyleSampling) and choices.noise == "input":
            generator = torch.Generator().manual_seed(seed)
            maps = module.G_ema.synthesis.noise_maps(n, resolution=module.stage.resolution, generator=generator)
            if None not in maps:
                inputs["noise"] = maps
        return inputs


def refuse_choices(module: AdversarialModule, choices: Choices) -> None:
    """Raises UsageError for what this model does not have, by the options' names."""
    kind = type(module).__name__
    if module.paper not in MODELS:
        raise UsageError(f"{kind} is no paper's model: files are made of {', '.join(MODELS)}")
    if len(module.image_shape) != 3:
        raise UsageError(f"this {kind} makes points in the plane, not images")
    if choices.label is not None and module.num_classes is None:
        raise UsageError(f"this {kind} is unconditional: leave --label out")
    if choices.label is not None and not 0 <= choices.label < (module.num_classes or 1):
        raise UsageError(f"--label is from 0 to {(module.num_classes or 1) - 1}, not {choices.label}")
    if choices.truncation is not None and not (isinstance(module, StyleSampling) and module.config >= "C"):
        raise UsageError(f"this {kind} has no truncation trick: leave --truncation out")
    if choices.noise != "const" and not (isinstance(module, StyleSampling) and module.config >= "E"):
        raise UsageError(f"this {kind} has no noise inputs: leave --noise out")
    if choices.pixels == "uint8" and module.image_shape[0] not in (1, 3):
        raise UsageError(f"--pixels uint8 is for grey images and RGB, not for {module.image_shape[0]} channels")


def flat(inputs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Inputs with a name each: the maps of `noise` are noise0, noise1, ..."""
    named = {
        f"{name}{i}": part for name, value in inputs.items() if isinstance(value, list) for i, part in enumerate(value)
    }
    return {name: value for name, value in inputs.items() if not isinstance(value, list)} | named


def trace(graph: GeneratorGraph) -> torch.export.ExportedProgram:
    """The graph's program, without the places in the code of the machine that traced it."""
    inputs = graph.example(TRACED, seed=0)
    batch = torch.export.Dim("batch")
    axis = {name: None if name == "truncation_psi" else {0: batch} for name in inputs}
    shapes = {
        name: [axis[name]] * len(value) if isinstance(value, list) else axis[name] for name, value in inputs.items()
    }
    others = {name: value for name, value in inputs.items() if name != "z"}
    module = graph.module
    held = module.one_stage() if isinstance(module, GrowingModule) else nullcontext()
    with held, torch.no_grad():
        program = torch.export.export(graph, (inputs["z"],), others, dynamic_shapes=shapes, strict=False)
    for node in program.graph.nodes:
        for place in ("stack_trace", "source_fn_stack"):
            node.meta.pop(place, None)
    return program


def write_program(graph: GeneratorGraph, path: Path, metadata: Mapping[str, str]) -> float:
    """Writes a program of torch.export; returns its largest difference to the module on other batches.

    Raises:
        ReleaseError: it makes other images than the module; nothing is kept.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No complete tensor found")  # of weights that share nothing
        torch.export.save(trace(graph), buffer, extra_files={METADATA_FILE: json.dumps(dict(metadata), indent=1)})
    buffer.seek(0)
    run = torch.export.load(buffer).module()
    difference = checked(graph, lambda inputs: run(inputs["z"], **{k: v for k, v in inputs.items() if k != "z"}), path)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return difference


def write_onnx(graph: GeneratorGraph, path: Path, metadata: Mapping[str, str]) -> float | None:
    """Writes an ONNX file; returns its largest difference to the module in onnxruntime, None where that is not there.

    Raises:
        UsageError: onnx or onnxscript is not installed.
        ReleaseError: it makes other images than the module; nothing is kept.
    """
    require("onnx", "onnxscript", purpose="--to onnx")
    names = [*flat(graph.example(1, seed=0))]
    program = torch.onnx.export(
        trace(graph), input_names=names, output_names=["images"], dynamo=True, external_data=False, verbose=False
    )
    assert program is not None
    for value in program.model.graph.all_nodes():
        value.metadata_props.clear()  # where in the code of this machine they came from
    program.model.metadata_props.clear()
    program.model.metadata_props.update(metadata)
    content = program.model_proto.SerializeToString()
    difference = None
    if is_installed("onnxruntime"):
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

        def run(inputs: Mapping[str, Any]) -> Tensor:
            (images,) = session.run(["images"], {name: value.numpy() for name, value in flat(inputs).items()})
            return torch.from_numpy(np.asarray(images))

        difference = checked(graph, run, path)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return difference


def checked(graph: GeneratorGraph, run: Any, path: Path) -> float:
    """The largest difference of `run` (inputs to images) to the module, over batches that were not traced.

    Raises:
        ReleaseError: it is too large: more than `TOLERANCE`, or a grey level of uint8.
    """
    differences, bound = [], 1.0 if graph.choices.pixels == "uint8" else TOLERANCE
    with torch.no_grad():
        for n in CHECKED:
            inputs = graph.example(n, seed=n)
            differences.append((run(inputs).float() - graph(**inputs).float()).abs().max())
    largest = float(torch.stack(differences).max())  # nan where one is
    if not largest <= bound:
        raise ReleaseError(
            f"{path.name} was not written: its images differ from the module's by {largest:.2g} (at most {bound:g}); "
            "please report the model and the versions of torch, onnxscript and onnxruntime"
        )
    return largest
