"""What an exported generator says of itself: the metadata in its file, and the README.md beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import DataError, RecordError
from zoo.models import MODELS
from zoo.models.networks.stylegan_sampling import StyleSampling
from zoo.models.trained import FinishedRun
from zoo.releases.card import batchnorm_of, described, figures_line
from zoo.releases.find import locate, names_release
from zoo.releases.portable import GeneratorGraph, flat
from zoo.releases.release import Release
from zoo.releases.snippets import onnx_snippet, torch_snippet
from zoo.releases.weights import class_names, licence_of_run
from zoo.runs.environment import VERSION
from zoo.runs.text import encodable, shown


def origin_of(name_or_path: str) -> dict[str, str]:
    """Name, data and licence of what `load_model` loads, as far as they are known."""
    if names_release(name_or_path):
        card = Release(locate(name_or_path)).card
        data, statistics = card["data"], batchnorm_of(card)
        other = "" if statistics is None else f"; G's BatchNorm with other statistics than here, {statistics}"
        return {
            "name": card["name"],
            "summary": described(card),
            "data": f"{data['name']}, {data['images']:,} images",
            "data_licence": data["licence"],
            "figures": figures_line(card) + other,
        }
    path = Path(name_or_path).expanduser()
    folder = path if path.is_dir() else path.resolve().parent.parent
    known = {"name": shown(path.resolve().name if path.is_dir() else path.stem)}
    if (folder / "config.yaml").is_file():
        run = FinishedRun(folder, models=MODELS)
        try:
            data = run.data
        except (DataError, RecordError):  # a data set of the user's own, or the config.yaml of something else
            return known
        known |= {"data": shown(data.name), "data_licence": shown(licence_of_run(run))}
    return known


def metadata_of(graph: GeneratorGraph, name_or_path: str, *, loaded: str | None = None) -> dict[str, str]:
    """Texts by their keys, for the file; what is no text is JSON.

    Args:
        graph: what the file holds.
        name_or_path: of the model, which says where it comes from.
        loaded: the checkpoint that was loaded of a run's folder; None: what `load_model` makes of `name_or_path`.
    """
    module, choices = graph.module, graph.choices
    reference, constants = MODELS[module.paper].reference, constants_of(graph)
    names = class_names(loaded or name_or_path)
    names = names if len(names) <= (module.num_classes or 0) else []  # of data whose classes it does not tell apart
    origin = origin_of(name_or_path)
    fixed = [name for name, value in constants.items() if value is not None]
    if fixed and "figures" in origin:
        origin["figures"] += f" (without the constants of this file: {', '.join(fixed)})"
    inputs = {name: entry_of(value) for name, value in flat(graph.example(2, seed=0)).items()}
    if "labels" in inputs:
        inputs["labels"]["classes"] = module.num_classes
    channels = 3 if choices.pixels == "uint8" else module.image_shape[0]
    output = {
        "shape": ["batch", channels, *module.image_shape[1:]],
        "dtype": "uint8" if choices.pixels == "uint8" else "float32",
        "range": [0, 255] if choices.pixels == "uint8" else [-1, 1],
    }
    return {
        **origin,
        "title": f"Generator of {type(module).__name__}, {reference.title}",
        "paper": f"{reference.short}, {reference.url}",
        "images_seen": str(module.images_seen),
        "prior": json.dumps([without_none(part._asdict()) for part in module.prior]),
        "inputs": json.dumps(inputs),
        "output": json.dumps({"images": output}),
        "constants": json.dumps(constants),
        **({"class_names": json.dumps(names)} if names else {}),
        "made_by": f"lightning-gan-zoo {VERSION}, torch {torch.__version__}",
    }


def entry_of(value: Tensor) -> dict[str, Any]:
    """Shape (its first axis is the batch, but for a number) and type of an input."""
    shape = ["batch", *value.shape[1:]] if value.ndim else []
    return {"shape": shape, "dtype": str(value.dtype).removeprefix("torch.")}


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that say something."""
    return {name: value for name, value in values.items() if value is not None}


def constants_of(graph: GeneratorGraph) -> dict[str, Any]:
    """The choices that this model has, where they are no input."""
    choices, module = graph.choices, graph.module
    constants: dict[str, Any] = {}
    if choices.label is not None:
        constants["label"] = choices.label
    if isinstance(module, StyleSampling) and module.config >= "C" and choices.truncation != "input":
        constants["truncation_psi"] = choices.truncation
    if isinstance(module, StyleSampling) and module.config >= "E" and choices.noise != "input":
        constants["noise"] = choices.noise
    return constants


def readme_of_export(file: str, metadata: Mapping[str, str], *, form: str) -> str:
    """The README of an exported file.

    Args:
        file: its name.
        metadata: see `metadata_of`.
        form: "onnx" or "torch-export".
    """
    inputs, prior = json.loads(metadata["inputs"]), json.loads(metadata["prior"])
    output = json.loads(metadata["output"])["images"]
    snippet = (onnx_snippet if form == "onnx" else torch_snippet)(file, prior, inputs)
    low, high = output["range"]
    rows = [
        *(f"- input `{name}`: {entry['dtype']} {entry['shape']}" for name, entry in inputs.items()),
        f"- output `images`: {output['dtype']} {output['shape']} in [{low}, {high}]",
        *(f"- {name} is a constant: {value}" for name, value in json.loads(metadata["constants"]).items()),
        f"- latents: {', then '.join(latent_text(part) for part in prior)}",
    ]
    if "class_names" in metadata:
        rows.append(f"- classes: {', '.join(json.loads(metadata['class_names']))}")
    known = [("trained on", "data"), ("licence of the data", "data_licence"), ("figures", "figures")]
    facts = [f"- {text}: {metadata[key]}" for text, key in known if metadata.get(key)]
    facts.append(f"- images seen in training: {int(metadata['images_seen']):,}")
    packages = "numpy and onnxruntime" if form == "onnx" else "torch"
    text = "\n".join(
        [
            f"# {metadata['name']}: {shown(file)}",
            "",
            f"{metadata['title']} ({metadata['paper']}).",
            "",
            *facts,
            f"- made by {metadata['made_by']}",
            "",
            f"## Use it with {packages} alone",
            "",
            f"```python\n{snippet}\n```",
            "",
            *rows,
            "",
        ]
    )
    return encodable(text)  # in the lines of Python, too, \udce9 is the letter of the file's name


def latent_text(part: Mapping[str, Any]) -> str:
    """One group of columns in words."""
    if part["distribution"] == "normal":
        return f"{part['columns']} of N(0, 1)"
    if part["distribution"] == "uniform":
        return f"{part['columns']} uniform on [{part['low']:.5g}, {part['high']:.5g})"
    return f"one of {part['columns']} categories, one-hot"
