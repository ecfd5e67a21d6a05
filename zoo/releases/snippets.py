"""Python that uses an exported generator without this package, as text; a test runs it. No torch at import."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

IMAGES = 16  # that a snippet draws

#: How each library writes a draw of `columns` numbers for each of n images.
NUMPY = {
    "normal": "rng.standard_normal(({n}, {columns}), dtype=np.float32)",
    "uniform": "rng.uniform({low:.8g}, {high:.8g}, ({n}, {columns})).astype(np.float32)",
    "one-hot": "np.eye({columns}, dtype=np.float32)[rng.integers({columns}, size={n})]",
    "join": "np.concatenate([{parts}], axis=1)",
}
TORCH = {
    "normal": "torch.randn({n}, {columns})",
    "uniform": "torch.empty({n}, {columns}).uniform_({low:.8g}, {high:.8g})",
    "one-hot": "torch.eye({columns})[torch.randint({columns}, ({n},))]",
    "join": "torch.cat([{parts}], dim=1)",
}


def drawn(prior: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    """The expression that draws IMAGES latents of a prior (see `zoo.models.base.sampling.Columns`, as dicts)."""
    parts = [words[part["distribution"]].format(n=IMAGES, **part) for part in prior]
    return parts[0] if len(parts) == 1 else words["join"].format(parts=", ".join(parts))


def onnx_snippet(file: str, prior: Sequence[Mapping[str, Any]], inputs: Mapping[str, Mapping[str, Any]]) -> str:
    """For onnxruntime.

    Args:
        file: the file's name.
        prior: of z.
        inputs: of the graph, {name: {"shape": ..., "dtype": ...}}.
    """
    lines = ["import numpy as np", "import onnxruntime", "", f"session = onnxruntime.InferenceSession({quoted(file)})"]
    lines += ["rng = np.random.default_rng(0)", f'inputs = {{"z": {drawn(prior, NUMPY)}}}']
    if "labels" in inputs:
        lines.append(f'inputs["labels"] = np.arange({IMAGES}) % {inputs["labels"]["classes"]}')
    if "truncation_psi" in inputs:
        lines.append('inputs["truncation_psi"] = np.array(0.7, dtype=np.float32)')
    if sides := sides_of(inputs):
        lines.append(f"for i, side in enumerate({sides}):")
        lines.append(f'    inputs[f"noise{{i}}"] = rng.standard_normal(({IMAGES}, 1, side, side), dtype=np.float32)')
    return "\n".join([*lines, "(images,) = session.run(None, inputs)"])


def torch_snippet(file: str, prior: Sequence[Mapping[str, Any]], inputs: Mapping[str, Mapping[str, Any]]) -> str:
    """For torch alone; arguments as for `onnx_snippet`."""
    more = ""
    if "labels" in inputs:
        more += f", labels=torch.arange({IMAGES}) % {inputs['labels']['classes']}"
    if "truncation_psi" in inputs:
        more += ", truncation_psi=torch.tensor(0.7)"
    if sides := sides_of(inputs):
        more += f", noise=[torch.randn({IMAGES}, 1, side, side) for side in {sides}]"
    lines = [
        "import torch",
        "",
        f"generator = torch.export.load({quoted(file)}).module()",
        f"z = {drawn(prior, TORCH)}",
    ]
    return "\n".join([*lines, "with torch.no_grad():", f"    images = generator(z{more})"])


def quoted(file: str) -> str:
    """A name as Python takes it: its quotes and backslashes are escaped."""
    return json.dumps(file, ensure_ascii=False)


def sides_of(inputs: Mapping[str, Mapping[str, Any]]) -> list[int]:
    """Sides of the noise maps, in order."""
    return [entry["shape"][-1] for name, entry in inputs.items() if name.startswith("noise")]
