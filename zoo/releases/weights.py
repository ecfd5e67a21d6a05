"""Trained models by name or path: a release, a run's folder, or a checkpoint file."""

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from zoo.data import DATASETS
from zoo.errors import CheckpointError, ReleaseError, ZooError
from zoo.models import MODELS, TRAINED
from zoo.models.base.module import AdversarialModule
from zoo.models.trained import FinishedRun, load_module
from zoo.releases.card import CARD_FILE
from zoo.releases.find import locate, names_at_hand, names_release
from zoo.releases.release import Release
from zoo.runs.checkpoints import read_checkpoint
from zoo.runs.command_lines import name_of
from zoo.runs.folder import RunDir
from zoo.runs.plain import read_settings
from zoo.runs.text import shown


class Weights(NamedTuple):
    """A trained model as plain parts.

    Attributes:
        paper: its name in `zoo.models.MODELS`.
        hyperparameters: the constructor arguments it was made with.
        tensors: by their names in the module's state_dict (`G.0.weight`, `D.0.weight`, `G_ema.0.weight`, ...).
        origin: where they came from, for messages.
    """

    paper: str
    hyperparameters: dict[str, Any]
    tensors: dict[str, Tensor]
    origin: str


def open_weights(name_or_path: str) -> Weights:
    """The weights of a release (its name, its address at the Hub, its folder), a run (its last ones) or a checkpoint.

    Raises:
        ReleaseError: no release of that name, or one that is not what its card says.
        CheckpointError: no such file, or a damaged one.
    """
    module = load_model(name_or_path)
    settings = {name: value for name, value in dict(module.hparams).items() if not name.startswith("_")}
    return Weights(module.paper, settings, module.state_dict(), name_or_path)


def load_model(name_or_path: str) -> AdversarialModule:
    """The module of a release, a run or a checkpoint, on the CPU, to evaluate; errors as for `open_weights`."""
    if names_release(name_or_path):
        return Release(locate(name_or_path)).module()
    path = Path(name_or_path).expanduser()
    if not path.exists() and path.suffix != ".ckpt":
        raise ReleaseError(
            f"there is no {name_or_path}: name a run's folder, a checkpoint (RUN/checkpoints/last.ckpt) or a release "
            f"(hf://OWNER/NAME at the Hub, or at hand: {names_at_hand()})"
        )
    if path.suffix == ".safetensors":
        raise ReleaseError(
            f"{path} is weights alone, which do not say of which network: name the folder of the release, with the "
            f"card ({CARD_FILE}) beside them, or a checkpoint (RUN/checkpoints/last.ckpt)"
        )
    return load_module(path / "checkpoints" / "last.ckpt" if path.is_dir() else path, models=TRAINED).eval()


def trained_on(name_or_path: str) -> str | None:
    """The data set that what `load_model` loads was trained on, a name in `zoo.data.DATASETS`; None if nothing says."""
    if names_release(name_or_path):
        return str(Release(locate(name_or_path)).card["data"]["class"])
    checkpoint = checkpoint_of(name_or_path)
    return next((kind for kind in DATASETS if isinstance(checkpoint.get(kind), dict)), None)


def licence_of_run(run: FinishedRun) -> str:
    """The licence of a run's data; of a fine-tuned one, also of the data that its first weights were trained on."""
    own, start = run.data.licence, run.config.get("init_from")
    if not isinstance(start, str):
        return own
    try:
        before = licence_of(start)
    except ZooError:  # it is gone, or lies elsewhere
        before = None
    if before == own:
        return own
    return f"{own}; of the data behind {shown(name_of(start))}, which it was fine-tuned from: {before or 'not known'}"


def licence_of(name_or_path: str) -> str | None:
    """The licence of the data behind what `load_model` loads, as far as it is known."""
    if names_release(name_or_path):
        return str(Release(locate(name_or_path)).card["data"]["licence"])
    path = Path(name_or_path).expanduser()
    run = RunDir(path if path.is_dir() else path.resolve().parent.parent)
    if run.config.is_file():
        return licence_of_run(FinishedRun(run.path, models=MODELS))
    kind = trained_on(name_or_path)
    return None if kind is None else DATASETS[kind].licence


def data_arguments(name_or_path: str) -> dict[str, Any]:
    """How the data were prepared that what `load_model` loads was trained on: arguments of `trained_on`'s data set.

    None of a checkpoint that lies in no run.
    """
    if names_release(name_or_path):
        return dict(Release(locate(name_or_path)).card["data"]["arguments"])
    place = Path(name_or_path).expanduser()
    config = RunDir(place if place.is_dir() else place.absolute().parent.parent).config
    data = read_settings(config).get("data") if config.is_file() else None
    arguments = data.get("init_args") if isinstance(data, dict) else None
    return arguments if isinstance(arguments, dict) else {}


def checkpoint_of(path: str) -> dict[str, Any]:
    """The content of a checkpoint, or of the last one of a run."""
    place = Path(path).expanduser()
    return read_checkpoint(place / "checkpoints" / "last.ckpt" if place.is_dir() else place)


def class_names(name_or_path: str) -> list[str]:
    """The names of the classes of what `load_model` loads, by number; none where nothing says them."""
    if names_release(name_or_path):
        return list(Release(locate(name_or_path)).card["data"].get("class_names", []))
    checkpoint = checkpoint_of(name_or_path)
    states = (checkpoint[kind] for kind in DATASETS if isinstance(checkpoint.get(kind), dict))
    names = next((state["class_names"] for state in states if "class_names" in state), None) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CheckpointError(
            f"{name_or_path}: its names of classes are no texts: take another checkpoint, or numbers as labels"
        )
    return names
