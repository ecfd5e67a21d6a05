"""How two papers differ, read off the code as it runs: constructors, losses, networks, optimizers, loop.

Nothing here is written by hand about a paper: the text comes from signatures, docstrings and the modules themselves.
"""

import ast
import difflib
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import nn

from zoo import losses
from zoo.adversarial import AdversarialModule
from zoo.compare import lined_up, reproductions
from zoo.errors import ZooError
from zoo.models import MODELS
from zoo.reached import recipes_of

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


class DiffError(ZooError):
    """A paper or recipe that is not there."""


class Described:
    """One paper with the settings of one of its recipes, or its defaults.

    Args:
        name: PAPER or PAPER:RECIPE.

    Raises:
        DiffError: an unknown paper or recipe.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        paper, _, recipe = name.partition(":")
        if paper not in MODELS:
            raise DiffError(
                f"there is no paper {paper!r}: name two of {', '.join(MODELS)}, each as PAPER or PAPER:RECIPE"
            )
        self.kind = MODELS[paper]
        self.config = recipe_of(paper, recipe) if recipe else {}

    @cached_property
    def title(self) -> str:
        """The first lines of the paper's file."""
        return " ".join((inspect.getdoc(inspect.getmodule(self.kind)) or "").split("\n\n")[1].split())

    @cached_property
    def settings(self) -> dict[str, str]:
        """The constructor's keywords with their defaults, a recipe's settings put in."""
        found = {name: p.default for name, p in inspect.signature(self.kind).parameters.items()}
        return {name: repr(value) for name, value in {**found, **self.config.get("model", {})}.items()}

    @cached_property
    def meanings(self) -> dict[str, str]:
        """What each keyword is, out of the class's docstring."""
        return arguments_in(inspect.getdoc(self.kind) or "")

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
        """First lines: the method's own, then those of the shared objectives that it reaches."""
        function = getattr(self.kind, method)
        lines = [f"{first_line(function)}"]
        return lines + [f"zoo.losses.{name}: {first_line(getattr(losses, name))}" for name in reached_losses(function)]

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
                lines.append(f"{name}: {first_line(function)}")
        return lines

    def recipe(self) -> list[str]:
        """The recipe's settings beside those of the model."""
        return [f"{name}: {value}" for name, value in self.config.items() if name != "model"]


def recipe_of(paper: str, recipe: str) -> Mapping[str, Any]:
    """A recipe's settings.

    Raises:
        DiffError: no such recipe, or no checkout of this project.
    """
    script = reproductions() / f"{paper}.py"
    if not script.is_file():
        raise DiffError(f"{paper}:{recipe} is a recipe of {script}, which is not there: recipes come with a checkout")
    recipes = recipes_of(script)
    if recipe not in recipes:
        raise DiffError(f"{paper} has no recipe {recipe!r}: there are {', '.join(recipes)}")
    return dict(recipes[recipe].config)


def arguments_in(text: str) -> dict[str, str]:
    """{name: text} of the section "Args:" of a docstring."""
    _, _, section = text.partition("Args:\n")
    section = section.split("\n\n")[0]
    found: dict[str, str] = {}
    name = ""
    for line in textwrap.dedent(section).splitlines():
        if line and not line.startswith(" "):
            name, _, rest = line.partition(":")
            found[name] = rest.strip()
        elif name:
            found[name] += " " + line.strip()
    return found


def first_line(function: Any) -> str:
    """The first paragraph of what a function says of itself (or of what it overrides), on one line."""
    return " ".join((inspect.getdoc(function) or "(no text)").split("\n\n")[0].split())


def reached_losses(function: Any) -> list[str]:
    """Names of functions of zoo.losses that a function calls, itself or through functions of its own file."""
    module = inspect.getmodule(function)
    shared = {
        name
        for name, value in vars(losses).items()
        if inspect.isfunction(value) and value.__module__ == losses.__name__
    }
    defined = {
        node.name: node
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.FunctionDef)  # type: ignore[arg-type]
    }
    found: dict[str, None] = {}
    seen: set[str] = set()
    waiting = [function.__name__]
    while waiting:
        name = waiting.pop(0)
        if name in seen or name not in defined:
            continue
        seen.add(name)
        for node in ast.walk(defined[name]):
            called = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            if called in shared:
                found[called] = None
            waiting.append(called)
    return list(found)


def layers(net: nn.Module) -> list[str]:
    """One line for each layer that computes, in the order of their definition, and the number of parameters."""
    lines = []
    for name, module in net.named_modules():
        own = sum(p.numel() for p in module.parameters(recurse=False))
        if own or not list(module.children()):
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
        return "\n".join(f"both: {line}" for line in lines[0])
    return "\n".join(f"{side.name}: {line}" for side, own in zip((a, b), lines, strict=True) for line in own)


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
        DiffError: an unknown paper or recipe.
    """
    a, b = Described(first), Described(second)
    return "\n\n".join(f"{heading}\n{textwrap.indent(text, '  ')}" for heading, text in sections(a, b)) + "\n"
