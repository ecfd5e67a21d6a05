"""What is measured and against what: runs, checkpoints, data sets, folders of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, EvaluationError

if TYPE_CHECKING:
    from zoo.data import ImageArray, ImageDataModule
    from zoo.models.base.module import AdversarialModule


class Folder:
    """Images read from a folder, in the place of a data set: every split is all of them."""

    measures = ()

    def __init__(self, name: str, images: ImageArray) -> None:
        self.name, self.images = name, images
        self.splits = ("train",)
        self.mixed = False  # files come by name, and so perhaps by class

    def split(self, name: str) -> ImageArray:
        """All images."""
        return self.images


def load_subject(
    target: str, *, dataset: str | None, data_dir: str | None
) -> tuple[AdversarialModule, ImageDataModule, Path]:
    """Module, data and place of a release (by name, address at the Hub or folder), a run or a checkpoint."""
    from zoo.releases.find import names_release

    if names_release(target):
        return load_release(target, dataset=dataset, data_dir=data_dir)
    return load_run(Path(target).expanduser(), dataset=dataset, data_dir=data_dir)


def load_release(
    target: str, *, dataset: str | None, data_dir: str | None
) -> tuple[AdversarialModule, ImageDataModule, Path]:
    """Module and data of a release: those of its card, unless another data set is named."""
    from zoo.releases.claims import open_data
    from zoo.releases.find import locate
    from zoo.releases.release import Release

    release = Release(locate(target))
    module = release.module()
    if dataset is not None:
        return module, data_for(module, dataset, data_dir), release.folder
    return module, open_data(release.card["data"], data_dir), release.folder


def load_run(
    target: Path, *, dataset: str | None, data_dir: str | None
) -> tuple[AdversarialModule, ImageDataModule, Path]:
    """Module and data of a run's folder (its last checkpoint), of a checkpoint file in it, or, with a data set, of a
    checkpoint alone."""
    from zoo.experiments.suite import measured_as_in
    from zoo.models import TRAINED
    from zoo.models.trained import FinishedRun, load_module

    if not target.exists():
        raise EvaluationError(
            f"there is no {target}: name a run's folder, a checkpoint (RUN/checkpoints/*.ckpt) or a release"
        )
    folder = target if target.is_dir() else target.absolute().parent.parent
    if dataset is not None:
        checkpoint = folder / "checkpoints" / "last.ckpt" if target.is_dir() else target
        module = load_module(checkpoint, models=TRAINED)
        return module, data_for(module, dataset, data_dir), checkpoint
    if not target.is_dir() and not (folder / "config.yaml").is_file():
        raise EvaluationError(
            f"{target} lies in no run that says what it was trained on: name the data set with --data"
        )
    run = FinishedRun(folder, models=TRAINED)
    checkpoint = run.checkpoint() if target.is_dir() else target
    if data_dir is not None:
        run.data_settings["init_args"]["root"] = data_dir
    return run.module(checkpoint), measured_as_in(run.config, run.data), checkpoint


def data_for(module: AdversarialModule, name: str, root: str | None) -> ImageDataModule:
    """A data set of zoo.data at the resolution of the module's images; a folder's are grey where these are."""
    if len(module.image_shape) != 3:
        raise EvaluationError("the model makes points in the plane: --data is for models of images")
    channels, _, side = module.image_shape
    return load_data(name, root, resolution=side, **({"channels": channels} if name == "ImageFolder" else {}))


def load_data(name: str, root: str | None, *, resolution: int | None, **more: Any) -> ImageDataModule:
    """A data set of zoo.data at a resolution, or its own."""
    from zoo.data import DATASETS

    if name not in DATASETS:
        raise EvaluationError(f"there is no data set {name!r}: choose from {', '.join(DATASETS)}")
    return DATASETS[name](root=root, resolution=resolution, **more)


def read_folder(folder: str, *, resolution: int | None, skip_broken: bool) -> tuple[ImageArray, list[str]]:
    """All images below a folder or in a zip as RGB (grey is tiled, transparency dropped), and notes on files left out.

    Raises EvaluationError for a folder without images, DataError naming the file for a damaged one (unless
    --skip_broken) or one of another size (unless --resolution).
    """
    from zoo.data.files import Preparation, image_sizes, load_files, usable
    from zoo.data.listing import EXTENSIONS, list_any
    from zoo.runs.text import shown

    path = Path(folder).expanduser()
    if not path.exists():
        raise EvaluationError(f"there is no folder {path}")
    files = list_any(path)
    notes = [f"{path}: {files.summary()}"] if files.left_out else []
    if skip_broken:
        good = usable(files)
        if broken := sorted(set(range(len(files.names))) - set(good)):
            some = ", ".join(shown(files.names[i]) for i in broken[:5])
            rest = ", ..." if len(broken) > 5 else ""
            notes.append(f"{len(broken)} of {len(files.names)} files under {path} cannot be used: {some}{rest}")
            files = files.select(good)
    if not files.names:
        found = f". {notes[-1]}" if notes else ""
        raise EvaluationError(f"there is no image under {path} ({', '.join(sorted(EXTENSIONS))}){found}")
    try:
        if resolution is None:
            prepare = Preparation(3, square=None, resolution=None, size=image_sizes(files.select([0]))[0])
        else:
            prepare = Preparation(3, square="short", resolution=resolution)
        return load_files("evaluate", files, prepare, recipe={"data": "evaluate"}), notes
    except DataError as error:
        hints = "" if resolution else "--resolution N brings images to one size"
        if not skip_broken:
            hints += "; " * bool(hints) + "--skip_broken leaves out files that cannot be decoded"
        raise DataError(f"{error} ({hints})" if hints else str(error)) from error
