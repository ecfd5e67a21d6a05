"""README.md of a release: its card in sentences, for a reader who meets the folder alone. No torch at import."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from zoo.nn.reference import Reference
from zoo.releases.card import GRID_FILE, batchnorm_of, described, hardware_of, images_of_training
from zoo.runs.text import duration, encodable, number

README_FILE = "README.md"


def readme_of(card: Mapping[str, Any], reference: Reference, *, address: str | None = None) -> str:
    """The README of a release.

    Args:
        card: see `zoo.releases.card`.
        reference: of the paper.
        address: what it is loaded by; None takes its name.
    """
    name, data, training = card["name"], card["data"], card["training"]
    sizes = [f"- `{net}.safetensors`: {entry['parameters']:,} numbers" for net, entry in card["files"].items()]
    seen, run = training["images_seen"], f"{duration(training['wall_time_s'])} on {hardware_of(card)}"
    whole = images_of_training(card)
    took = f"in {run}" if whole == seen else f"of a training of {whole:,} images that took {run}"
    place = address or name
    shape = "x".join(map(str, card["image_shape"]))
    commands = [" ".join(map(shlex.quote, command)) for command in training["commands"]]
    text = f"""# {name}

{reference.title} ({reference.short}, {reference.url}), recipe `{card["recipe"]}`: {described(card)}.

![Samples of seed {card["grid"]["seed"]}]({GRID_FILE})

## How it was trained

- on {data["name"]}, {data["images"]:,} images of {shape} (licence: {data["licence"]});
- {seen:,} images seen, {training["generator_steps"]:,} updates of G, {took};
- seed {training["seed"]}, checkpoint "{training["checkpoint"]}", commit {training["commit"] or "unknown"}, by

```
{chr(10).join(commands)}
```

## What it reaches

{figures_table(card)}

`python -m zoo verify {place}` computes these again. Figures of different protocols may not be ranked.
{batchnorm_note(card, place)}
## Use it

```python
import zoo

model = zoo.load_pretrained("{place}")  # or the path of this folder; a torch.nn.Module in evaluation mode
images = model.sample(16, seed=0)  # [16, {shape.replace("x", ", ")}] in [-1, 1]
G = model.G{"_ema" if "G_ema" in card["files"] else ""}  # the generator alone
```

Without this package: `python -m zoo export {place} --to torch-export` (or `onnx`) makes one file that plain PyTorch (or
onnxruntime) runs, with the lines that do it.

## Files

{chr(10).join(sizes)}
- `card.json`: all of the above and the sha256 of each file, by which they are checked before they are read.
"""
    return encodable(text)


def batchnorm_note(card: Mapping[str, Any], place: str) -> str:
    """What tells the images that were measured from those that `sample` gives; nothing where they are the same."""
    statistics = batchnorm_of(card)
    if statistics is None:
        return ""
    return (
        f"\nThey were taken with other statistics in G's BatchNorm than these files hold: {statistics}. Images\n"
        "of `sample`, and of exported files, are with the averages of the training, which lag behind the weights:\n"
        f"`python -m zoo evaluate {place} --batchnorm running` measures those.\n"
    )


def figures_table(card: Mapping[str, Any]) -> str:
    """The figures with the hashes of their protocols."""
    rows = [f"| {key} | {number(card['figures'][key])} | {card['protocols'][key]} |" for key in card["protocols"]]
    return "\n".join(["| measure | value | protocol |", "|---|---|---|", *rows])
