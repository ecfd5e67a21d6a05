"""`python -m zoo evaluate`: the figures of a run, of a checkpoint, or of two folders of images, each with its protocol.

python -m zoo evaluate RUN                          the run's last checkpoint against its own data
python -m zoo evaluate RUN/checkpoints/best.ckpt --presets train50k,test10k,clean
python -m zoo evaluate dcgan.mnist --data_dir DIR                  a release, against the data it was trained on
python -m zoo evaluate MODEL.ckpt --data MNIST --data_dir DIR      a checkpoint without its run
python -m zoo evaluate --real DIR --fake DIR --features lenet --measures fd,pr,dc --json figures.json
python -m zoo evaluate --real DIR --fake DIR DIR DIR               several against the same images
python -m zoo evaluate --data MNIST --data_dir DIR                 real test images against the training images
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.commands.evaluate.extractors import load_extractors, refuse_unknown_features
from zoo.commands.evaluate.outcome import Outcome, as_json_of, draw_neighbours, table
from zoo.commands.evaluate.subjects import Folder, load_data, load_subject, read_folder
from zoo.commands.output import output_file
from zoo.errors import EvaluationError
from zoo.runs.text import positive, say
from zoo.training.signatures import entries

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.data import ImageDataModule
    from zoo.metrics.evaluator import Evaluator
    from zoo.models.base.module import AdversarialModule


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("target", nargs="?", metavar="MODEL", help="a run's folder, a checkpoint file in one, or a release")
    add("--real", metavar="DIR", help="folder of real images (any depth), instead of a run")
    add("--fake", metavar="DIR", nargs="+", help="folder of generated images; several are measured one after the other")
    add(
        "--features",
        default=None,
        help=f"{', '.join(entries('zoo.metrics.extractors', 'EXTRACTORS'))}, or PACKAGE:NAME, a torch module of yours "
        "or what makes one; with commas between (default: what suits)",
    )
    add("--features_weights", metavar="FILE", default=None, help="weights of the one extractor that is named")
    add("--measures", default=None, help="with commas between, or `all`; `list` says what there is")
    add("--presets", default=None, help="conventions side by side, of one set of samples; `list` says what there is")
    add(
        "--samples",
        type=positive,
        default=None,
        help="generated images (default: 50,000 for inception, else 10,000; of folders and of --data alone, all)",
    )
    add("--reals", type=positive, default=None, help="the first N images of the reference (default: all)")
    add(
        "--mirror_reals",
        action="store_true",
        help="mirror each image of the reference with probability 1/2; --reals may then be more than there are",
    )
    add("--split", default="train", choices=("train", "validation", "test"), help="of the run's data")
    add(
        "--data",
        default=None,
        help="the reference: a data set of zoo.data (default: the run's own); alone: its test images against it",
    )
    add("--data_dir", default=None, help="where the data lie now")
    add("--weights", default=None, choices=("raw", "ema"), help="default: the average, where the model has one")
    add("--batchnorm", default="reestimated", choices=("running", "reestimated", "batch"), help="of a generator")
    add(
        "--seeds",
        default="0",
        help="of the latents; several, with commas between, give a +/- over latents, not over trainings",
    )
    add("--resolution", type=positive, default=None, help="bring the images of both folders to this side")
    add("--skip_broken", action="store_true", help="leave out files that cannot be decoded, and say which")
    add("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    add("--json", metavar="FILE", default=None, help="also write the figures there, each with its protocol")
    add("--neighbours", metavar="FILE", default=None, help="also draw the nearest reals of ten samples (PNG)")


def evaluate(arguments: argparse.Namespace) -> None:
    """Runs the command. Raises ZooError subclasses for everything a user can mend."""
    if listing := listed(arguments):
        say(listing)
        return
    refuse_unknown_names(arguments)
    folders = arguments.real is not None and arguments.fake is not None
    data_alone = arguments.target is None and arguments.data is not None and not folders
    nothing = arguments.target is None and not folders and not data_alone
    if nothing or (folders and arguments.target is not None) or (arguments.real is None) != (arguments.fake is None):
        raise EvaluationError(
            "name either a run, a checkpoint or a release, or two folders with --real DIR and --fake DIR, or a data "
            "set with --data, for its test images against its training images"
        )
    if arguments.neighbours and folders and len(arguments.fake) > 1:
        raise EvaluationError("--neighbours draws one picture: name one --fake with it")
    refuse_idle(arguments, "two folders" if folders else "a data set's own images" if data_alone else "a generator")
    figures = check_writable(arguments.json, "--json", (".json",))
    picture = check_writable(arguments.neighbours, "--neighbours", (".png",))
    outcomes = of_folders(arguments) if folders else [of_data(arguments) if data_alone else of_run(arguments)]
    say(table(outcomes))
    if figures is not None:
        from zoo.runs.folder import write_atomically

        write_atomically(figures, json.dumps(as_json_of(outcomes), indent=1, sort_keys=True) + "\n")
        say(f"written: {arguments.json}")
    if picture is not None:
        draw_neighbours(outcomes[0], picture)
        say(f"written: {arguments.neighbours}")


def of_folders(arguments: argparse.Namespace) -> list[Outcome]:
    """Figures of each --fake against --real, which is read once."""
    options = {"resolution": arguments.resolution, "skip_broken": arguments.skip_broken}
    real, real_notes = read_folder(arguments.real, **options)
    fakes = [read_folder(folder, **options) for folder in arguments.fake]  # what cannot be read says so before the work
    for folder, (fake, _) in zip(arguments.fake, fakes, strict=True):
        if len(fake) < (arguments.samples or 0):
            raise EvaluationError(f"{arguments.samples} fakes were asked for, and there are {len(fake)} under {folder}")
        if arguments.neighbours and fake.images.shape[1:] != real.images.shape[1:]:
            raise EvaluationError(
                "--neighbours: fakes and reals of different shapes cannot stand in one figure; --resolution N brings "
                "them to one size"
            )
    reference: Any = Folder(Path(arguments.real).name, real)
    outcomes = []
    for folder, (fake, notes) in zip(arguments.fake, fakes, strict=True):
        evaluator = make_evaluator(arguments, reference, default="inception", n_fake=arguments.samples or len(fake))
        result = evaluator.run_images(fake.images, device=device_of(arguments))
        subject = {"fake": str(folder), "fake_fingerprint": fake.fingerprint, "real": str(arguments.real)}
        outcomes.append(Outcome(subject, result, neighbourhood(evaluator), (*real_notes, *notes)))
    return outcomes


def of_data(arguments: argparse.Namespace) -> Outcome:
    """Figures of a data set's test images against its training images: where a perfect generator would stand."""
    from zoo.metrics.presets import PRESETS

    if own := [name for name in words(arguments.presets) if PRESETS[name].split == "test"]:
        others = ", ".join(name for name, preset in PRESETS.items() if preset.split != "test")
        raise EvaluationError(
            f"the preset {own[0]} compares with the test images, and here these are what is measured: take {others}"
        )
    data = load_data(arguments.data, arguments.data_dir, resolution=arguments.resolution)
    if "test" not in data.splits or arguments.split == "test":
        raise EvaluationError(f"no test images of {data.name} to set against its {arguments.split} images")
    fake = data.split("test")
    evaluator = make_evaluator(arguments, data, default=data.extractor, n_fake=arguments.samples or len(fake))
    result = evaluator.run_images(fake.images, device=device_of(arguments))
    real = f"{data.name}:{arguments.split}"
    subject = {"fake": f"{data.name}:test", "fake_fingerprint": fake.fingerprint, "real": real}
    return Outcome(subject, result, neighbourhood(evaluator))


def of_run(arguments: argparse.Namespace) -> Outcome:
    """Figures of a run's generator against the run's own data."""
    module, data, checkpoint = load_subject(arguments.target, dataset=arguments.data, data_dir=arguments.data_dir)
    if len(module.image_shape) != 3:
        raise EvaluationError(f"{checkpoint} makes points in the plane; see the measures of its run's `test`")
    if arguments.weights == "ema" and module.G_ema is None:
        raise EvaluationError(f"{checkpoint}: {type(module).__name__} keeps no averaged weights; leave --weights out")
    evaluator = make_evaluator(arguments, data, module, default=data.extractor, n_fake=arguments.samples)
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
    return Outcome(subject, result, neighbourhood(evaluator))


def neighbourhood(evaluator: Evaluator) -> Tensor:
    """The images among which the first of the result's neighbours are: uint8 [N, C, H, W]. Presets have their own."""
    column = evaluator.columns[0] if "nn" in evaluator.measures else None
    return evaluator.reference(column).images


def make_evaluator(
    arguments: argparse.Namespace,
    data: ImageDataModule,
    module: AdversarialModule | None = None,
    *,
    default: str,
    n_fake: int | None,
) -> Evaluator:
    """The evaluator that the options ask for; without `n_fake` each network takes as many samples as it is due."""
    from zoo.experiments.suite import build_evaluator
    from zoo.metrics.extractors import EXTRACTORS
    from zoo.metrics.inception import InceptionExtractor
    from zoo.metrics.measures import ALL, FOR_TEST, OF_FEATURES, OF_SOME_DATA
    from zoo.metrics.presets import Column, preset_columns

    measures = words(arguments.measures) or [*FOR_TEST, *data.measures]
    if measures == ["all"]:
        there = [name for name in ALL if name not in OF_SOME_DATA or name in data.measures]
        measures = [name for name in there if not name.endswith("_few")]  # the same of fewer images
    shape = tuple(data.split(arguments.split).images.shape[1:])
    if arguments.neighbours and not {"nn", "nn_pixels"} & set(measures):
        measures.append("nn_pixels")
    if arguments.presets:
        if arguments.features not in (None, "inception"):
            raise EvaluationError("presets are conventions about Inception features: leave --features out")
        if arguments.reals is not None or arguments.split != "train":
            raise EvaluationError("presets settle which reals they take: leave --reals and --split out")
        inception = InceptionExtractor(arguments.features_weights)
        fewer = arguments.samples if module is not None else n_fake
        columns = preset_columns(words(arguments.presets), inception, n_fake=fewer, splits=data.splits)
    elif any(name in OF_FEATURES for name in measures):
        names = words(arguments.features) or [default]
        extractors = load_extractors(names, arguments.features_weights, image_shape=shape)
        if words(arguments.measures) in ([], ["all"]) and any(extractor.num_classes == 0 for extractor in extractors):
            measures.remove("is")  # there are no logits
        columns = [
            Column(extractor, arguments.split, arguments.reals, n_fake or due(name))
            for name, extractor in zip(dict.fromkeys(names), extractors, strict=True)
        ]
    else:
        columns = []
    return build_evaluator(
        module,
        data,
        columns=columns,
        measures=measures,
        split=arguments.split,
        n_real=arguments.reals,
        mirror_reals=arguments.mirror_reals,
        n_fake=n_fake or EXTRACTORS[default].samples,
        weights=arguments.weights if module is not None else None,
        batchnorm=arguments.batchnorm,
    )


def due(extractor: str) -> int:
    """Samples for features of this name; for a network of the user's as for most."""
    from zoo.metrics.extractors import EXTRACTORS

    return EXTRACTORS.get(extractor, EXTRACTORS["efficientnet"]).samples


def device_of(arguments: argparse.Namespace) -> Any:
    """The device asked for. Raises EvaluationError where it is not there."""
    import torch

    try:
        device = torch.device(arguments.device)
        torch.zeros(1, device=device).cpu()  # "meta" has no numbers to give back
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


def refuse_unknown_names(arguments: argparse.Namespace) -> None:
    """Before the data are read, not after."""
    from zoo.metrics.measures import ALL
    from zoo.metrics.presets import PRESETS

    for option, known in (("measures", [*ALL, "all"]), ("presets", list(PRESETS))):
        if unknown := [name for name in words(getattr(arguments, option)) if name not in known]:
            raise EvaluationError(f"there is no {option[:-1]} {unknown[0]!r}: choose from {', '.join(known)}")
    refuse_unknown_features(words(arguments.features))
    numbers(arguments.seeds)


#: Options that do nothing, by what is measured: who gives one means something else.
IDLE = {
    "two folders": ("data", "data_dir", "split", "weights", "batchnorm", "seeds"),
    "a data set's own images": ("weights", "batchnorm", "seeds", "skip_broken"),
    "a generator": ("resolution", "skip_broken"),
}
OF_FEATURES_ALONE = ("presets", "features", "features_weights")
UNSAID = {"split": "train", "batchnorm": "reestimated", "seeds": "0", "skip_broken": False}  # others: None


def refuse_idle(arguments: argparse.Namespace, measured: str) -> None:
    """Raises EvaluationError for an option that would change nothing, or the figures' names alone."""
    from zoo.metrics.measures import OF_PIXELS

    for option in IDLE[measured]:
        if getattr(arguments, option) != UNSAID.get(option):
            raise EvaluationError(f"--{option} changes nothing of the figures of {measured}: leave it out")
    measures = words(arguments.measures)
    for option in OF_FEATURES_ALONE if measures and set(measures) <= set(OF_PIXELS) else ():
        if getattr(arguments, option):
            raise EvaluationError(
                f"--{option} changes nothing of {', '.join(measures)}, which look at pixels: leave it out, or ask for "
                "fd or another measure of features too"
            )


def check_writable(file: str | None, option: str, suffixes: tuple[str, ...]) -> Path | None:
    """The file that is written, if any; looked at before an hour's work, not after it."""
    if file is None:
        return None
    if not Path(file).expanduser().absolute().parent.is_dir():
        raise EvaluationError(f"{file} cannot be written: there is no folder {Path(file).parent}")
    return output_file(file, option=option, suffixes=suffixes)


def words(text: str | None) -> list[str]:
    """The parts of a,b,c."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def numbers(text: str) -> list[int]:
    """The integers of 0,1,2. Raises EvaluationError for anything else."""
    try:
        return [int(part) for part in words(text)] or [0]
    except ValueError:
        raise EvaluationError(f"--seeds takes integers with commas between, got {text!r}") from None
