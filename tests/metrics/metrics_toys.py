"""A small generator, extractor and data set for the evaluator's tests, in a file that child processes import."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from zoo.data import ImageArray
from zoo.metrics.features import FeatureExtractor, Features


@contextmanager
def processes_on_gpus(folder: Path) -> Iterator[None]:
    """A process group as a training on several GPUs has: tensors on the CPU cannot be sent (as by NCCL)."""
    torch.distributed.init_process_group("cuda:gloo", init_method=f"file://{folder}/gpus", rank=0, world_size=1)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def tf32_flags() -> tuple[bool, bool]:
    """Whether products and convolutions on a GPU may round to TF32."""
    backends: Any = torch.backends
    if hasattr(backends.cuda.matmul, "fp32_precision"):  # torch >= 2.9
        return backends.cuda.matmul.fp32_precision != "ieee", backends.cudnn.conv.fp32_precision != "ieee"
    return backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32


class ToyExtractor(FeatureExtractor):
    """A fixed random layer: d = 16, K = 5."""

    def __init__(self, name: str = "toy") -> None:
        super().__init__()
        self.name, self.sha256, self.dim, self.num_classes, self.resize = name, "ab" * 32, 16, 5, "none"
        generator = torch.Generator().manual_seed(3)
        self.register_buffer("first", torch.randn(64, 16, generator=generator))
        self.register_buffer("second", torch.randn(16, 5, generator=generator))
        self.images = 0

    def extract(self, images: Tensor) -> Features:
        self.images += len(images)
        features = ((images.flatten(1).float() / 127.5 - 1) @ self.first).relu()
        return Features(features, features @ self.second)


class ToyModule(nn.Module):
    """Latents [n, 4] -> images [n, 1, 8, 8], with BatchNorm between; keeps the seeds it was asked for."""

    image_shape = (1, 8, 8)
    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.G = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 64), nn.Tanh())
            self.D = nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
        self.seeds: list[int] = []

    @torch.no_grad()
    def sample(self, n: int, *, labels: None = None, seed: int | None = None) -> Tensor:
        assert seed is not None
        self.seeds.append(seed)
        z = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
        torch.rand(3)  # a careless model: the evaluator must still leave the global random state alone
        self.G.eval()
        return self.G(z).view(n, 1, 8, 8)


class ToyData:
    """n random grey images in the split train."""

    name = "Toy"

    def __init__(self, n: int = 1300) -> None:
        images = torch.randint(0, 256, (n, 1, 8, 8), generator=torch.Generator().manual_seed(1))
        fingerprint = hashlib.sha256(str(n).encode()).hexdigest()
        self.array = ImageArray(images.to(torch.uint8), None, None, fingerprint)
        self.asked: list[str] = []

    def split(self, name: str) -> ImageArray:
        self.asked.append(name)
        return self.array


class WithoutFloat64(TorchDispatchMode):
    """Inside, the device "meta" stands for one without float64, as Apple's GPUs are; all numbers on it are 0."""

    def __enter__(self) -> "WithoutFloat64":
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("zoo.metrics.processes.WITHOUT_FLOAT64", ("meta",))
        self.patch.setattr("torch.autocast", lambda *_, **__: nullcontext())  # there is none for "meta"
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.patch.undo()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        there = bool(args) and isinstance(args[0], Tensor) and args[0].is_meta
        if there and func is torch.ops.aten._local_scalar_dense.default:
            return 0
        if there and func is torch.ops.aten._to_copy.default and str(kwargs.get("device")) == "cpu":
            return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        found = func(*args, **kwargs)
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor) and tensor.is_meta and tensor.dtype == torch.float64:
                raise TypeError(f"Cannot convert a MPS Tensor to float64 dtype ({func})")
        return found
