"""The GAN papers as PyTorch Lightning modules. Torch is imported by what needs it, not by this."""

import os
from typing import TYPE_CHECKING, Any

from zoo.runs.environment import VERSION

if TYPE_CHECKING:
    from zoo.models import MODELS
    from zoo.models.base.module import AdversarialModule

__version__ = VERSION
__all__ = ["MODELS", "__version__", "list_pretrained", "load_pretrained"]


def __getattr__(name: str) -> Any:
    """`zoo.MODELS`, when it is first asked for."""
    if name == "MODELS":
        from zoo.models import MODELS

        return MODELS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def list_pretrained() -> list[str]:
    """Names of the trained models at hand: those that ship with the package, then those at ZOO_RELEASES."""
    from zoo.releases.find import list_pretrained

    return list_pretrained()


def load_pretrained(name: str | os.PathLike[str]) -> "AdversarialModule":
    """A trained model by the name of its release, like "dcgan.mnist"; or a run's folder, or a checkpoint file.

    A release at the Hugging Face Hub is "hf://OWNER/NAME", or "hf://OWNER/NAME@REVISION".

    Returns:
        the paper's module with G, G_ema (where the paper averages) and D, on the CPU, in evaluation mode:
        `load_pretrained("dcgan.mnist").sample(16, seed=0)` gives images [16, C, H, W] in [-1, 1].

    Raises:
        ReleaseError: no release of that name, or files that are not what its card says.
        CheckpointError: no such checkpoint, or a damaged one.
        UsageError: an address at the Hub, and huggingface_hub is not installed.
    """
    from zoo.releases.weights import load_model

    return load_model(os.fspath(name))
