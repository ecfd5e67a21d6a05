"""The evaluation by Inception against torch-fidelity, torchmetrics and pytorch-fid, side by side.

    python benchmarks/evaluation.py [--only forward|fid] [--rounds 3] [--images 256] [--json FILE]

- forward: images a second through the Inception network, resize included, against torch-fidelity's module at its
  default batch of 64; how far features and resized pixels are apart.
- fid: a whole FID from images in memory, the network's loading included, each tool in a process of its own: seconds,
  peak memory, value. pytorch-fid (PNG files, its default batch of 50) takes part where it is installed.

The network has random weights, which go through a file that every tool reads. Every round goes there and back (A B C,
then C B A); medians are printed, with the smallest and the largest. `--clock cpu` counts processor seconds instead, for
a machine that is shared; the number of threads is set by OMP_NUM_THREADS.
"""

import argparse
import importlib
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from side_by_side import CLOCKS, add_options, begin, contest, keep, spread, table
from torch import Tensor, nn
from torch.utils.data import Dataset

SIDE, D = 32, 2048  # of the images; features of Inception's last pooling
THEIR_BATCH = 64  # torch-fidelity's default; torchmetrics leaves it to the caller
ZOO = ("zoo.data", "zoo.metrics.evaluator", "zoo.metrics.inception", "torch_fidelity.feature_extractor_inceptionv3")
NEEDS = {  # modules of each tool
    "zoo": ZOO,
    "zoo, reals cached": ZOO,
    "torch-fidelity": ("torch_fidelity",),
    "torchmetrics": ("torchmetrics.image.fid",),
    "pytorch-fid": ("pytorch_fid.fid_score",),
}


@torch.no_grad()
def random_weights(file: Path) -> None:
    """Weights of the Inception network of 2015 as torch-fidelity keeps them: noise, BatchNorm fitted to pictures."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    torch.save({}, file)
    torch.manual_seed(0)
    with patch.object(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None):
        net = FeatureExtractorInceptionV3("random", ["2048"], feature_extractor_weights_path=str(file))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=(2 / module.weight[0].numel()) ** 0.5)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.1)
            module.momentum = None  # the average, not a moving one
    net.train()(pictures(16, seed=2))
    torch.save(net.state_dict(), file)


def pictures(n: int, *, seed: int) -> Tensor:
    """uint8 [n, 3, 32, 32]: smooth random fields, coarser for odd seeds."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(n, 3, 8 - 3 * (seed % 2), 8 - 3 * (seed % 2), generator=generator)
    fine = nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic")
    return (127.5 + 60 * fine).clamp(0, 255).to(torch.uint8)


def apart(a: Tensor, b: Tensor) -> float:
    """|a - b| / |b|."""
    return float((a.double() - b.double()).norm() / b.double().norm())


# Inception forward


@torch.no_grad()
def forward(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Images a second, and whether the numbers are the same."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    from zoo.metrics import InceptionExtractor
    from zoo.metrics.resize import resize

    ours = InceptionExtractor(folder / "weights.pth")
    theirs = FeatureExtractorInceptionV3(
        "x", ["2048"], feature_extractor_weights_path=str(folder / "weights.pth")
    ).eval()
    images = pictures(max(1, arguments.images // 4 // THEIR_BATCH) * THEIR_BATCH, seed=0)
    few = images[:8]
    features = apart(ours(few).features, theirs(few)[0])
    floats = few.float()
    grey = resize(floats, 299) - interpolate_bilinear_2d_like_tensorflow1x(floats, size=(299, 299), align_corners=False)
    seconds = contest(
        {
            f"torch-fidelity, batch {THEIR_BATCH}": lambda: [theirs(part) for part in images.split(THEIR_BATCH)],
            "zoo": lambda: ours(images),
        },
        rounds=arguments.rounds,
        clock=arguments.clock,
    )
    speeds = {name: [len(images) / s for s in taken] for name, taken in seconds.items()}
    base, zoo = (statistics.median(values) for values in speeds.values())
    rows = [(name, spread(values)) for name, values in speeds.items()]
    table(f"Inception forward with resize, {SIDE}x{SIDE} uint8", ("", "images a second"), rows)
    print(f"  {zoo / base:.2f} times as fast; features {features:.1e} apart (relative), resize {grey.abs().max():.1e}")
    return {"ratio": zoo / base, "features": features, "grey_levels": float(grey.abs().max()), "speeds": speeds}


# A whole FID


class Images(Dataset[Tensor]):
    """uint8 images as torch-fidelity takes them."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Tensor:
        return self.images[i]


class Reference:
    """A data set of one split, as the evaluator takes them."""

    name, splits = "pictures", ("train",)

    def __init__(self, images: Tensor) -> None:
        from zoo.data import ImageArray

        self.images = ImageArray(images, None, None, "benchmark")

    def split(self, name: str) -> Any:
        return self.images


def zoo_fid(folder: Path, real: Tensor, fake: Tensor, *, cache: Path | None) -> float:
    from zoo.metrics import Evaluator, InceptionExtractor

    extractor = InceptionExtractor(folder / "weights.pth")
    data: Any = Reference(real)
    evaluator = Evaluator([extractor], data=data, measures=["fd"], n_fake=len(fake), cache_dir=cache)
    return next(iter(evaluator.run_images(fake).values.values()))


def torch_fidelity_fid(folder: Path, real: Tensor, fake: Tensor) -> float:
    import torch_fidelity

    weights = str(folder / "weights.pth")
    figures = torch_fidelity.calculate_metrics(
        input1=Images(fake),
        input2=Images(real),
        cuda=False,
        fid=True,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=weights,
        batch_size=THEIR_BATCH,
        num_workers=0,
        cache=False,
        verbose=False,
    )
    return float(figures["frechet_inception_distance"])


def torchmetrics_fid(folder: Path, real: Tensor, fake: Tensor) -> float:
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=D, feature_extractor_weights_path=str(folder / "weights.pth"))
    for images, is_real in ((real, True), (fake, False)):
        for part in images.split(THEIR_BATCH):
            metric.update(part, real=is_real)
    return float(metric.compute())


def pytorch_fid_fid(folder: Path) -> float:
    from pytorch_fid import fid_score, inception

    weights = torch.load(folder / "weights.pth", weights_only=True)
    with patch.object(inception, "load_state_dict_from_url", lambda *arguments, **options: weights):
        paths = [str(folder / "real"), str(folder / "fake")]
        return float(fid_score.calculate_fid_given_paths(paths, 50, torch.device("cpu"), D, num_workers=0))


def child(tool: str, folder: Path, *, clock: str) -> None:
    """One FID in this process: prints seconds, value and peak memory as JSON."""
    warnings.filterwarnings("ignore")
    for module in NEEDS[tool]:
        importlib.import_module(module)  # not timed
    images = torch.load(folder / "images.pt")
    cache = folder / "cache" if tool == "zoo, reals cached" else None
    run: dict[str, Callable[[], float]] = {
        "zoo": lambda: zoo_fid(folder, *images, cache=None),
        "zoo, reals cached": lambda: zoo_fid(folder, *images, cache=cache),
        "torch-fidelity": lambda: torch_fidelity_fid(folder, *images),
        "torchmetrics": lambda: torchmetrics_fid(folder, *images),
        "pytorch-fid": lambda: pytorch_fid_fid(folder),
    }
    start = CLOCKS[clock]()
    value = run[tool]()
    seconds = CLOCKS[clock]() - start
    print(json.dumps({"seconds": seconds, "value": value, "peak_mb": peak_memory()}))


def peak_memory() -> float:
    """Largest resident memory of this process, MB. (ru_maxrss would begin with that of the process that started it.)"""
    status = Path("/proc/self/status")
    if status.is_file():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_a_process(tool: str, *, folder: Path, clock: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--clock", clock, "--child", tool, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tool} failed:\n{done.stderr}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def fid(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Each tool's time, memory and value, `images` a side."""
    from PIL import Image

    n = arguments.images
    images = pictures(n, seed=0), pictures(n, seed=1)
    torch.save(images, folder / "images.pt")
    tools = [t for t in NEEDS if t != "pytorch-fid" or importlib.util.find_spec("pytorch_fid")]
    if "pytorch-fid" in tools:
        for name, part in zip(("real", "fake"), images, strict=True):
            (folder / name).mkdir(exist_ok=True)
            for i, image in enumerate(part):
                Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / name / f"{i:06d}.png")
    in_a_process("zoo, reals cached", folder=folder, clock=arguments.clock)  # fills the cache
    taken: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    for i in range(arguments.rounds):
        for tool in tools if i % 2 == 0 else reversed(tools):  # one process each: a turn is half a round
            taken[tool].append(in_a_process(tool, folder=folder, clock=arguments.clock))
    medians = {tool: statistics.median(r["seconds"] for r in runs) for tool, runs in taken.items()}
    rows = []
    for tool, runs in taken.items():
        shares = [f"{medians[tool] / medians[other]:.2f}" for other in ("torch-fidelity", "torchmetrics")]
        peak = f"{max(r['peak_mb'] for r in runs):.0f}"
        rows.append((tool, spread([r["seconds"] for r in runs]), *shares, peak, f"{runs[0]['value']:.7g}"))
    head = ("", "seconds", "of torch-fidelity's", "of torchmetrics'", "peak MB", "FID")
    table(f"A whole FID, {n} images a side (torchmetrics and pytorch-fid resize in their own ways)", head, rows)
    if "pytorch-fid" not in tools:
        print("  pytorch-fid is not installed")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--only", choices=("forward", "fid"), default=None)
    parser.add_argument("--images", type=int, default=256, help="a side for `fid`, a quarter of that for `forward`")
    parser.add_argument("--child", choices=tuple(NEEDS), default=None, help=argparse.SUPPRESS)
    parser.add_argument("--folder", default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, Path(arguments.folder), clock=arguments.clock)
        return
    begin(arguments)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        random_weights(Path(folder) / "weights.pth")
        for name, part in (("forward", forward), ("fid", fid)):
            if arguments.only in (None, name):
                found[name] = part(arguments, Path(folder))
    keep(found, arguments)


if __name__ == "__main__":
    main()
