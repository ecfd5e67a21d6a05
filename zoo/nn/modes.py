"""Training and evaluation mode of networks."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for every submodule; on leaving, each gets back the mode it had.

    Networks that were compiled for training run eagerly: else they would be compiled again for each number of images.
    """
    training = [m for m in module.modules() if m.training]
    module.eval()
    compiled = "torch._dynamo" in sys.modules  # which takes seconds to import
    try:
        with torch.compiler.set_stance("force_eager") if compiled else nullcontext():
            yield
    finally:
        for m in training:
            m.training = True
