"""`python -m zoo evaluate`: the figures of a run, of a checkpoint, or of two folders of images, each with its protocol.

python -m zoo evaluate RUN                          the run's last checkpoint against its own data
python -m zoo evaluate RUN/checkpoints/best.ckpt --presets train50k,test10k,clean
python -m zoo evaluate MODEL.ckpt --data MNIST --data_dir DIR      a released model, without its run
python -m zoo evaluate --real DIR --fake DIR --features lenet --measures fd,pr,dc --json figures.json
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo.errors import DataError
from zoo.metrics.errors import EvaluationError
from zoo.spreads import is_spread

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.adversarial import AdversarialModule
    from zoo.data import ImageArray, ImageDataModule
    from zoo.metrics.evaluator import EvalResult, Evaluator
    from zoo.metrics.features import FeatureExtractor

FEATURES = ("inception", "lenet", "resnet")
SCHEMA = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("target", nargs="?", metavar="RUN_OR_CHECKPOINT", help="a run's folder, or a checkpoint file in one")
    add("--real", metavar="DIR", help="folder of real images (any depth), instead of a run")
    add("--fake", metavar="DIR", help="folder of generated images")
    add(
        "--features",
        default=None,
        help="inception, lenet, resnet, or PACKAGE:NAME, a torch module of yours or what makes one; "
        "with commas between (default: what suits)",
    )
    add("--features_weights", metavar="FILE", default=None, help="weights of the one extractor that is named")
    add("--measures", default=None, help="with commas between, or `all`; `list` says what there is")
    add("--presets", default=None, help="conventions side by side, of one set of samples; `list` says what there is")
    add("--samples", type=int, default=None, help="generated images (default: 10,000 for lenet, else 50,000; or all)")
    add("--reals", type=int, default=None, help="the first N images of the reference (default: all)")
    add("--split", default="train", choices=("train", "validation", "test"), help="of the run's data")
    add("--data", default=None, help="the reference: a data set of zoo.data (default: the run's own)")
    add("--data_dir", default=None, help="where the data lie now")
    add("--weights", default=None, choices=("raw", "ema"), help="default: the average, where the model has one")
    add("--batchnorm", default="reestimated", choices=("running", "reestimated", "batch"), help="of a generator")
    add("--seeds", default="0", help="of the latents; several, with commas between, give a +/-")
    add("--resolution", type=int, default=None, help="bring the images of both folders to this side")
    add("--skip_broken", action="store_true", help="leave out files that cannot be decoded, and say which")
    add("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    add("--json", metavar="FILE", default=None, help="also write the figures there, each with its protocol")
    add("--neighbours", metavar="FILE", default=None, help="also draw the nearest training images of ten samples (PNG)")


def evaluate(arguments: argparse.Namespace) -> None:
    """Runs the command. Raises ZooError subclasses for everything a user can mend."""
    if listing := listed(arguments):
        say(listing)
        return
    folders = arguments.real is not None and arguments.fake is not None
    if folders == (arguments.target is not None) or (arguments.real is None) != (arguments.fake is None):
        raise EvaluationError("name either a run or checkpoint, or two folders with --real DIR and --fake DIR")
    for name in ("json", "neighbours"):
        check_writable(getattr(arguments, name))
    outcome = of_folders(arguments) if folders else of_run(arguments)
    say(table(outcome))
    if arguments.json:
        from zoo.record import write_atomically

        write_atomically(arguments.json, json.dumps(as_json(outcome), indent=1, sort_keys=True) + "\n")
        say(f"written: {arguments.json}")
    if arguments.neighbours:
        draw_neighbours(outcome, Path(arguments.neighbours))
        say(f"written: {arguments.neighbours}")


@dataclass(frozen=True)
class Outcome:
    """What was measured, of what, against which images."""

    subject: dict[str, Any]
    result: EvalResult
    reals: Tensor  # uint8 [N, C, H, W]
    notes: tuple[str, ...] = ()


class Folder:
    """Images read from a folder, in the place of a data set: every split is all of them."""

    def __init__(self, name: str, images: ImageArray) -> None:
        self.name, self.images = name, images
        self.splits = ("train",)

    def split(self, name: str) -> ImageArray:
        """All images."""
        return self.images


def of_folders(arguments: argparse.Namespace) -> Outcome:
    """Figures of --fake against --real."""
    real, real_notes = read_folder(arguments.real, arguments)
    fake, fake_notes = read_folder(arguments.fake, arguments)
    n_fake = len(fake) if arguments.samples is None else arguments.samples
    reference: Any = Folder(Path(arguments.real).name, real)
    evaluator = make_evaluator(arguments, reference, default="inception", n_fake=n_fake)
    result = evaluator.run_images(fake.images, device=device_of(arguments))
    subject = {"fake": str(arguments.fake), "fake_fingerprint": fake.fingerprint, "real": str(arguments.real)}
    return Outcome(subject, result, real.images, (*real_notes, *fake_notes))


def of_run(arguments: argparse.Namespace) -> Outcome:
    """Figures of a run's generator against the run's own data."""
    module, data, checkpoint = load_run(Path(arguments.target), dataset=arguments.data, data_dir=arguments.data_dir)
    if len(module.image_shape) != 3:
        raise EvaluationError(f"{checkpoint} makes points in the plane; see the measures of its run's `test`")
    averaged = hasattr(module, "G_ema")
    if arguments.weights == "ema" and not averaged:
        raise EvaluationError(f"{checkpoint}: {type(module).__name__} keeps no averaged weights; leave --weights out")
    weights: Literal["raw", "ema"] = arguments.weights or ("ema" if averaged else "raw")
    default = "lenet" if data.name in ("MNIST", "Digits") else "inception"
    n_fake = arguments.samples or (10_000 if default == "lenet" else 50_000)
    evaluator = make_evaluator(
        arguments, data, default=default, n_fake=n_fake, weights=weights, batchnorm=batchnorm_mode(arguments, module)
    )
    module = module.to(device_of(arguments))
    seeds = numbers(arguments.seeds)
    evaluator.seed = seeds[0]
    result = evaluator.run(module) if len(seeds) == 1 else evaluator.run_seeds(module, seeds)
    subject = {
        "checkpoint": str(checkpoint),
        "paper": module.paper,
        "images_seen": int(module.images_seen),
        "seeds": seeds,
    }
    return Outcome(subject, result, data.split(arguments.split).images)


def load_run(
    target: Path, *, dataset: str | None, data_dir: str | None
) -> tuple[AdversarialModule, ImageDataModule, Path]:
    """Module and data of a run's folder (its last checkpoint), of a checkpoint file in it, or, with a data set, of a
    checkpoint alone."""
    from zoo.models import MODELS
    from zoo.runs import FinishedRun, load_module

    if not target.exists():
        raise EvaluationError(f"there is no {target}: name a run's folder or a checkpoint (RUN/checkpoints/*.ckpt)")
    folder = target if target.is_dir() else target.absolute().parent.parent
    if dataset is not None:
        checkpoint = folder / "checkpoints" / "last.ckpt" if target.is_dir() else target
        module = load_module(checkpoint, models=MODELS)
        return module, load_data(dataset, data_dir, image_shape=module.image_shape), checkpoint
    if not target.is_dir() and not (folder / "config.yaml").is_file():
        raise EvaluationError(
            f"{target} lies in no run that says what it was trained on: name the data set with --data"
        )
    run = FinishedRun(folder, models=MODELS)
    checkpoint = run.checkpoint() if target.is_dir() else target
    if data_dir is not None:
        run.config["data"]["init_args"]["root"] = data_dir
    return run.module(checkpoint), run.data, checkpoint


def load_data(name: str, root: str | None, *, image_shape: tuple[int, ...]) -> ImageDataModule:
    """A data set of zoo.data at the resolution of [C, H, W] images."""
    from zoo.data import DATASETS

    if name not in DATASETS:
        raise EvaluationError(f"there is no data set {name!r}: choose from {', '.join(DATASETS)}")
    if len(image_shape) != 3:
        raise EvaluationError("the model makes points in the plane: --data is for models of images")
    return DATASETS[name](root=root, resolution=image_shape[-1])


def make_evaluator(
    arguments: argparse.Namespace,
    data: ImageDataModule,
    *,
    default: str,
    n_fake: int,
    weights: Literal["raw", "ema"] = "raw",
    batchnorm: Literal["running", "reestimated", "batch"] = "running",
) -> Evaluator:
    """The evaluator that the options ask for."""
    from zoo.data import cache_dir
    from zoo.metrics.evaluator import Evaluator
    from zoo.metrics.inception import InceptionExtractor
    from zoo.metrics.measures import ALL, FOR_TEST, OF_FEATURES
    from zoo.metrics.presets import Column, preset_columns

    measures = list(ALL) if arguments.measures == "all" else words(arguments.measures) or list(FOR_TEST)
    shape = tuple(data.split(arguments.split).images.shape[1:])
    if arguments.neighbours and not {"nn", "nn_pixels"} & set(measures):
        measures.append("nn_pixels")
    if arguments.presets:
        if arguments.features not in (None, "inception"):
            raise EvaluationError("presets are conventions about Inception features: leave --features out")
        inception = InceptionExtractor(arguments.features_weights)
        fewer = arguments.samples if not arguments.real else n_fake
        columns = preset_columns(words(arguments.presets), inception, n_fake=fewer, splits=data.splits)
    elif any(name in OF_FEATURES for name in measures):
        names = words(arguments.features) or [default]
        extractors = load_extractors(names, arguments.features_weights, image_shape=shape)
        if arguments.measures is None and any(extractor.num_classes == 0 for extractor in extractors):
            measures.remove("is")  # there are no logits
        columns = [Column(extractor, arguments.split, arguments.reals) for extractor in extractors]
    else:
        columns = []
    return Evaluator(
        data=data,
        columns=columns,
        measures=measures,
        split=arguments.split,
        n_real=arguments.reals,
        n_fake=n_fake,
        weights=weights,
        batchnorm=batchnorm,
        cache_dir=cache_dir(),
        progress=True,
    )


def load_extractors(names: list[str], weights: str | None, *, image_shape: tuple[int, ...]) -> list[FeatureExtractor]:
    """The named extractors; `weights` is the file of the only one. Raises EvaluationError for an unknown name."""
    from zoo.metrics.inception import InceptionExtractor
    from zoo.metrics.lenet import WEIGHTS as LENET
    from zoo.metrics.lenet import LeNetExtractor
    from zoo.metrics.resnet import WEIGHTS as RESNET
    from zoo.metrics.resnet import ResNetExtractor

    if unknown := [name for name in names if name not in FEATURES and ":" not in name]:
        raise EvaluationError(
            f"there are no features {unknown[0]!r}: choose from {', '.join(FEATURES)}, "
            "or name a torch module of yours as PACKAGE:NAME"
        )
    if weights is not None and len(names) > 1:
        raise EvaluationError(f"--features_weights is a file for one extractor, and there are {', '.join(names)}")
    load: dict[str, Any] = {
        "inception": lambda: InceptionExtractor(weights),
        "lenet": lambda: LeNetExtractor(weights or LENET),
        "resnet": lambda: ResNetExtractor(weights or RESNET),
    }
    return [
        load[name]() if name in load else users_extractor(name, image_shape=image_shape)
        for name in dict.fromkeys(names)
    ]


def users_extractor(where: str, *, image_shape: tuple[int, ...]) -> FeatureExtractor:
    """The extractor or torch module that PACKAGE:NAME is, or makes when it is called without arguments."""
    from torch import nn

    from zoo.metrics.features import FeatureExtractor, ModuleExtractor

    package, _, name = where.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(package), name)
        net = found if isinstance(found, nn.Module) else found()
    except Exception as error:  # a stranger's code raises anything
        raise EvaluationError(f"--features {where} cannot be made: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(Path.cwd()))
    if isinstance(net, FeatureExtractor):
        return net
    if not isinstance(net, nn.Module):
        raise EvaluationError(f"--features {where} is a {type(net).__name__}, not a torch module")
    return ModuleExtractor(net, name=name, image_shape=image_shape)


def batchnorm_mode(
    arguments: argparse.Namespace, module: AdversarialModule
) -> Literal["running", "reestimated", "batch"]:
    """The mode asked for, or "running" where the generator has no BatchNorm."""
    from torch.nn.modules.batchnorm import _BatchNorm

    mode: Literal["running", "reestimated", "batch"] = arguments.batchnorm
    return mode if any(isinstance(m, _BatchNorm) for m in module.G.modules()) else "running"


def read_folder(folder: str, arguments: argparse.Namespace) -> tuple[ImageArray, list[str]]:
    """All images below a folder as RGB (grey is tiled, transparency dropped), and notes on files left out.

    Raises EvaluationError for a folder without images, DataError naming the file for a damaged one (unless
    --skip_broken) or one of another size (unless --resolution).
    """
    from zoo.data.files import EXTENSIONS, Preparation, image_sizes, list_images, load_files

    path = Path(folder).expanduser()
    if not path.is_dir():
        raise EvaluationError(f"there is no folder {path}")
    files = list_images(path)
    notes = []
    if arguments.skip_broken:
        good = [i for i, name in enumerate(files.names) if decodes(path / name)]
        if broken := sorted(set(range(len(files.names))) - set(good)):
            some = ", ".join(files.names[i] for i in broken[:5])
            notes.append(f"{len(broken)} of {len(files.names)} files under {path} cannot be decoded: {some}, ...")
            files = files.select(good)
    if not files.names:
        raise EvaluationError(f"there is no image under {path} ({', '.join(sorted(EXTENSIONS))})")
    if arguments.resolution is None:
        prepare = Preparation(3, square=None, resolution=None, size=image_sizes(files.select([0]))[0])
    else:
        prepare = Preparation(3, square="short", resolution=arguments.resolution)
    try:
        return load_files("evaluate", files, prepare, recipe={"data": "evaluate"}), notes
    except DataError as error:
        hints = "--resolution N brings images to one size; --skip_broken leaves out files that cannot be decoded"
        raise DataError(f"{error} ({hints})") from error


def decodes(file: Path) -> bool:
    """Whether an image file can be read to its end."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            image.load()
    except Exception:  # a damaged file raises nearly anything
        return False
    return True


def table(outcome: Outcome) -> str:
    """Name, value and spread, protocol hash; then what the hashes stand for."""
    values, protocols = outcome.result.values, outcome.result.protocols
    rows = [("figure", "value", "+/-", "protocol")]
    for name, value in values.items():
        if not is_spread(name, values):
            spreads = [f"{values[n]:.3g}{why}" for n, why in spreads_of(name, values)]
            rows.append((name, f"{value:.6g}", ", ".join(spreads), protocols[name].hash))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    described = {protocols[name].hash: protocols[name].describe() for name in values}
    lines += ["", *described.values()]
    return "\n".join([*lines, *(f"note: {note}" for note in outcome.notes)])


def spreads_of(name: str, values: dict[str, float]) -> list[tuple[str, str]]:
    """The values that are spreads of a figure, each with what it is over."""
    kinds = ((f"{name}_seed_std", " over seeds"), (f"{name}_std", ""))
    return [(spread, why) for spread, why in kinds if spread in values]


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Everything, as plain types: each value with its protocol's hash, and the protocols by hash."""
    values, protocols = outcome.result.values, outcome.result.protocols
    return {
        "schema": SCHEMA,
        "subject": outcome.subject,
        "values": {name: {"value": value, "protocol": protocols[name].hash} for name, value in values.items()},
        "protocols": {protocol.hash: protocol.as_dict() for protocol in protocols.values()},
        "notes": list(outcome.notes),
    }


def draw_neighbours(outcome: Outcome, path: Path) -> None:
    """One row for each of ten fakes: the fake, then its nearest training images."""
    import torch

    from zoo.callbacks import save_png

    name, found = next(iter(outcome.result.neighbours.items()))
    samples = outcome.result.samples
    assert samples is not None
    if samples.shape[1:] != outcome.reals.shape[1:]:
        raise EvaluationError(f"{name}: fakes and reals of different shapes cannot stand in one figure")
    rows = [
        torch.cat([fake[None], outcome.reals[near.cpu()]])
        for fake, near in zip(samples, found.nearest[: len(samples)], strict=True)
    ]
    save_png(torch.cat(rows).float() / 127.5 - 1, path, columns=1 + found.nearest.shape[1])


def device_of(arguments: argparse.Namespace) -> Any:
    """The device asked for. Raises EvaluationError where it is not there."""
    import torch

    try:
        device = torch.device(arguments.device)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EvaluationError(f"--device {arguments.device} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def listed(arguments: argparse.Namespace) -> str:
    """What `--measures list` and `--presets list` print, or nothing."""
    from zoo.metrics.measures import ALL
    from zoo.metrics.presets import PRESETS

    lines = [f"{name:14} {text}" for name, text in ALL.items()] if arguments.measures == "list" else []
    if arguments.presets == "list":
        lines += [f"{name:14} {preset.used_by}" for name, preset in PRESETS.items()]
    return "\n".join(lines)


def check_writable(file: str | None) -> None:
    """Before an hour's work, not after it."""
    if file is not None and not Path(file).expanduser().absolute().parent.is_dir():
        raise EvaluationError(f"{file} cannot be written: there is no folder {Path(file).parent}")


def words(text: str | None) -> list[str]:
    """The parts of a,b,c."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def numbers(text: str) -> list[int]:
    """The integers of 0,1,2. Raises EvaluationError for anything else."""
    try:
        return [int(part) for part in words(text)] or [0]
    except ValueError:
        raise EvaluationError(f"--seeds takes integers with commas between, got {text!r}") from None


def say(text: str) -> None:
    """Lines on standard output."""
    sys.stdout.write(text + "\n")
