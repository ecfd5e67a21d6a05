"""Recipes: the experiments of a paper as named settings of the command line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from zoo.errors import UsageError
from zoo.training.signatures import parsed

#: What a recipe on photographs measures while training if it says nothing else, as often as it draws a grid.
COLOUR_MONITOR = "fd_efficientnet2k"
COLOUR_DATA = ("zoo.data.CIFAR10", "zoo.data.CelebA", "zoo.data.ImageFolder")


@dataclass(frozen=True)
class Recipe:
    """One experiment.

    Args:
        summary: a line that says what it is, and whether it is the paper's or an extension.
        config: settings as the command line names them, nested; what the paper does not fix is left out. One on
            COLOUR_DATA that draws grids gets, without `evaluation` and `keep.monitor`, those of photographs.
        reported: what the paper reports for this experiment, by the name of our measure.
    """

    summary: str
    config: Mapping[str, Any]
    reported: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config, keep = self.config, self.config.get("keep", {})
        if config.get("data", {}).get("class_path") in COLOUR_DATA and "grid_every" in keep:
            evaluation = {"every": keep["grid_every"], **config.get("evaluation", {})}
            keep = {"monitor": COLOUR_MONITOR, **keep}
            object.__setattr__(self, "config", {**config, "evaluation": evaluation, "keep": keep})


def budget_of(config: Mapping[str, Any]) -> str:
    """The budget of settings in words; "" where they have none."""
    if config.get("images"):
        return f"{config['images']:,} images"
    return f"{config['generator_steps']:,} updates of G" if config.get("generator_steps") else ""


@dataclass(frozen=True)
class Lazy:
    """A function of a module that is imported when the function is first needed: scripts are read without torch.

    Args:
        name: of the function, with its module: "zoo.experiments.wgan.run_figures".
    """

    name: str

    def load(self) -> Callable[..., Any]:
        """The function itself; errors as of `refuse_absent`."""
        self.refuse_absent()
        module, _, function = self.name.rpartition(".")
        loaded: Callable[..., Any] = getattr(import_module(module), function)
        return loaded

    def refuse_absent(self) -> None:
        """Raises UsageError where this package defines no such function; its source is read, nothing is imported."""
        module, _, function = self.name.rpartition(".")
        tree = parsed(module) if module.startswith("zoo.") else None
        if module.startswith("zoo.") and (tree is None or function not in {getattr(n, "name", "") for n in tree.body}):
            file = f"{module.replace('.', '/')}.py"
            what = "there is no such file" if tree is None else f"nothing there is called {function}"
            raise UsageError(f"Lazy({self.name!r}) is to be a function of {file}, and {what}")

    def __call__(self, *arguments: Any) -> Any:
        return self.load()(*arguments)
