"""How two papers differ, read off the code as it runs: constructors, losses, networks, optimizers, loop.

Nothing here is written by hand about a paper: the text comes from signatures, docstrings and the modules themselves.
"""

import difflib
import inspect
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property, partial
from types import FrameType
from typing import Any

import torch
from torch import nn

from zoo.errors import UsageError
from zoo.models import MODELS
from zoo.models.base.module import AdversarialModule
from zoo.nn import losses
from zoo.runs.text import lined_up
from zoo.training.scripts import script_of
from zoo.training.signatures import documented

OBJECTIVE = ("discriminator_loss", "generator_loss")
LOOP = (
    "training_step",
    "before_update",
    "after_discriminator_update",
    "after_generator_update",
    "latents",
    "preprocess",
)
COUNTED = ("n_critic", "z_dim", "image_shape", "num_classes")


class Described:
    """One paper with the settings of one of its recipes, or its defaults.

    Args:
        name: PAPER or PAPER:RECIPE.

    Raises:
        UsageError: an unknown paper or recipe.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        paper, _, recipe = name.partition(":")
        if paper not in MODELS:
            raise UsageError(
                f"there is no paper {paper!r}: name two of {', '.join(MODELS)}, each as PAPER or PAPER:RECIPE"
            )
        self.kind = MODELS[paper]
        self.config = recipe_of(paper, recipe) if recipe else {}

    @cached_property
    def title(self) -> str:
        """Title, authors, place and code: the first two paragraphs of the paper's file."""
        return " ".join(" ".join((inspect.getdoc(inspect.getmodule(self.kind)) or "").split("\n\n")[:2]).split())

    @cached_property
    def settings(self) -> dict[str, str]:
        """The constructor's keywords with their defaults, a recipe's settings put in.

        Where None leaves the choice to the network or the method, what it came to stands in its place.
        """
        found = {name: p.default for name, p in inspect.signature(self.kind).parameters.items()}
        found |= self.config.get("model", {})
        chosen = {name: getattr(self.module, name, None) for name, value in found.items() if value is None}
        found |= {name: value for name, value in chosen.items() if isinstance(value, str | int | float)}
        return {name: repr(value) for name, value in found.items()}

    @cached_property
    def meanings(self) -> dict[str, str]:
        """What each keyword is, out of the class's docstring."""
        return documented(inspect.getdoc(self.kind) or "")

    @cached_property
    def module(self) -> AdversarialModule:
        """The module itself, without weights where that is possible."""
        model = self.config.get("model", {})
        try:
            with torch.device("meta"):
                return self.kind(**model)
        except (NotImplementedError, RuntimeError):  # initialisations that read a weight
            return self.kind(**model)

    def losses(self, method: str) -> list[str]:
        """The method's code, and the shared objectives that it calls with these settings."""
        called = [f"calls {f.__module__}.{f.__name__}: {first_paragraph(f)}" for f in self.calls[method]]
        return [*code(getattr(self.kind, method)), *called]

    @cached_property
    def calls(self) -> dict[str, list[Any]]:
        """The functions that each loss called, of zoo.nn.losses and of the paper's file, once run on four images."""
        module = self.kind(**self.config.get("model", {}))
        images = torch.randint(256, (4, *module.image_shape), dtype=torch.uint8)
        x = module.preprocess(images if len(module.image_shape) == 3 else torch.randn(4, *module.image_shape))
        y = torch.arange(4) % (module.num_classes or 4)
        files = (losses.__name__, self.kind.__module__)
        return {name: called_in(files, partial(getattr(module, name), x, y)) for name in OBJECTIVE}

    def players(self) -> dict[str, list[str]]:
        """The layers of G and of D, one a line, with their parameters."""
        return {name: layers(getattr(self.module, name)) for name in ("G", "D")}

    def optimizers(self) -> list[str]:
        """The optimizers of D and of G as configured."""
        configured = self.module.configure_optimizers()
        assert isinstance(configured, list)  # the base class's contract: discriminator first
        return [f"{name}: {described(opt)}" for name, opt in zip(("D", "G", "third"), configured, strict=False)]

    def loop(self) -> list[str]:
        """The loop's constants, and what the paper does in it beside the base class."""
        lines = [f"{name} = {getattr(self.module, name)}" for name in COUNTED]
        for name in LOOP:
            function = getattr(self.kind, name)
            if function is not getattr(AdversarialModule, name):
                lines += [f"{name}: {first_paragraph(function)}"] if function.__doc__ else code(function)
        return lines

    def recipe(self) -> list[str]:
        """The recipe's settings beside those of the model."""
        return [f"{name}: {value}" for name, value in self.config.items() if name != "model"]


def recipe_of(paper: str, recipe: str) -> Mapping[str, Any]:
    """A recipe's settings.

    Raises:
        UsageError: no such recipe.
    """
    recipes = script_of(paper).recipes
    if recipe not in recipes:
        raise UsageError(f"{paper} has no recipe {recipe!r}: there are {', '.join(recipes)}")
    return dict(recipes[recipe].config)


def first_paragraph(function: Any) -> str:
    """What a function says of itself first, on one line."""
    return " ".join((function.__doc__ or "").split("\n\n")[0].split())


def code(function: Any) -> list[str]:
    """A function's lines, docstring and comments of the type checker left out."""
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    if function.__doc__:
        quoted = [i for i, line in enumerate(lines) if '"""' in line]
        end = quoted[0] if lines[quoted[0]].count('"""') == 2 else quoted[1]
        first = first_paragraph(function)
        lines = [*lines[: quoted[0]], f"    # {first}", *lines[end + 1 :]]
    return [line.partition("  # type: ignore")[0] for line in lines]


def called_in(files: Collection[str], run: Callable[[], Any]) -> list[Any]:
    """The functions of these modules (methods left out) that ran, in order."""
    functions = (f for name in files for f in vars(sys.modules[name]).values() if inspect.isfunction(f))
    own = {f.__code__: f for f in functions if f.__module__ in files}
    found: dict[Any, None] = {}

    def notice(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code in own:
            found[own[frame.f_code]] = None

    before = sys.getprofile()
    sys.setprofile(notice)
    try:
        run()
    finally:
        sys.setprofile(before)
    return list(found)


def layers(net: nn.Module) -> list[str]:
    """One line for each layer that computes, in the order of their definition, and the number of parameters."""
    lines = []
    for name, module in net.named_modules():
        own = sum(p.numel() for p in module.parameters(recurse=False))
        silent = isinstance(module, nn.Identity | nn.Sequential)
        if own or not (silent or list(module.children())):
            lines.append(f"{layer_text(name, module)}" + (f"  {own:,}" if own else ""))
    return [*lines, f"in all {sum(p.numel() for p in net.parameters()):,} parameters"]


def layer_text(name: str, module: nn.Module) -> str:
    """A layer's class and settings; numbered names say nothing, others do."""
    names = [part for part in name.split(".") if part and not part.isdigit()]
    own = module.extra_repr()
    return ("/".join(names) + ": " if names else "") + f"{type(module).__name__}({own})"


def described(optimizer: torch.optim.Optimizer) -> str:
    """Class and settings of an optimizer; groups that differ are told apart by their number of parameters."""
    texts = []
    for group in optimizer.param_groups:
        settings = ", ".join(f"{k}={v}" for k, v in group.items() if k != "params" and v not in (None, False))
        texts.append(f"{type(optimizer).__name__}({settings})")
    if len(set(texts)) == 1:
        return texts[0]
    sizes = [sum(p.numel() for p in group["params"]) for group in optimizer.param_groups]
    return "; ".join(f"{text} on {n:,} parameters" for text, n in zip(texts, sizes, strict=True))


def settings_table(a: Described, b: Described) -> str:
    """The constructor's keywords that are not the same in both, then those that are."""
    rows, same = [["setting", a.name, b.name, "what it is"]], []
    for name in dict.fromkeys([*a.settings, *b.settings]):
        values = [side.settings.get(name, "-") for side in (a, b)]
        if values[0] == values[1]:
            same.append(f"{name}={values[0]}")
        else:
            rows.append([name, *values, textwrap.shorten(a.meanings.get(name) or b.meanings.get(name, ""), 70)])
    return lined_up(rows) + (f"\nthe same in both: {', '.join(same)}" if same else "")


def two_sided(a: list[str], b: list[str]) -> str:
    """Lines of both in order: "- " only in the first, "+ " only in the second."""
    return "\n".join(line for line in difflib.ndiff(a, b) if not line.startswith("?"))


def side_by_side(a: Described, b: Described, lines: tuple[list[str], list[str]]) -> str:
    """The lines of each under its name, or once where they are the same."""
    if lines[0] == lines[1]:
        return "\n".join(["both", *(f"  {line}" for line in lines[0])])
    sides = ([side.name, *(f"  {line}" for line in own)] for side, own in zip((a, b), lines, strict=True) if own)
    return "\n".join(line for side in sides for line in side)


def sections(a: Described, b: Described) -> Iterator[tuple[str, str]]:
    """Heading and text."""
    yield "Papers", f"{a.name}: {a.title}\n{b.name}: {b.title}"
    for method in OBJECTIVE:
        yield f"Objective, {method}", side_by_side(a, b, (a.losses(method), b.losses(method)))
    for player in ("G", "D"):
        yield f"Network {player} (- {a.name}, + {b.name})", two_sided(a.players()[player], b.players()[player])
    yield "Optimizers", side_by_side(a, b, (a.optimizers(), b.optimizers()))
    yield "Loop and schedule", side_by_side(a, b, (a.loop(), b.loop()))
    yield "Settings", settings_table(a, b)
    if a.config or b.config:
        yield "Recipes", side_by_side(a, b, (a.recipe(), b.recipe()))


def as_text(first: str, second: str) -> str:
    """The differences of two papers for a terminal.

    Args:
        first: PAPER or PAPER:RECIPE.
        second: the same.

    Raises:
        UsageError: an unknown paper or recipe.
    """
    a, b = Described(first), Described(second)
    return "\n\n".join(f"{heading}\n{textwrap.indent(text, '  ')}" for heading, text in sections(a, b)) + "\n"
