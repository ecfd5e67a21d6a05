"""Checkpoints that are damaged or of others: (name, change of the file, words of the command, what the error names)."""

import gzip
import os
import pickle
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

Case = tuple[str, Callable[[Path], object], list[str], str]
FIT = ["fit", "dcgan", "--run_dir", "run", "--ckpt_path", "last", "--images", "48"]
TEST = ["test", "dcgan", "--run_dir", "run"]
SAMPLE, EXPORT, EVALUATE = ["sample", "run"], ["export", "run", "--out", "out"], ["evaluate", "run"]
BEGIN = [
    "fit",
    "dcgan",
    "--recipe",
    "digits",
    "--init_from",
    "run/checkpoints/last.ckpt",
    "--run_dir",
    "new",
    "--images",
    "16",
]
COMMANDS = {"fit": FIT, "test": TEST, "sample": SAMPLE, "export": EXPORT, "evaluate": EVALUATE, "init_from": BEGIN}


class Evil:
    """Executed, it would make a folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def written(content: bytes) -> Callable[[Path], object]:
    """These bytes."""
    return lambda file: file.write_bytes(content)


def bytes_of(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """The file's own, changed."""
    return lambda file: file.write_bytes(change(file.read_bytes()))


def folder(file: Path) -> None:
    """A folder of that name."""
    file.unlink()
    file.mkdir()


def nowhere(file: Path) -> None:
    """A link to nothing."""
    file.unlink()
    file.symlink_to("nowhere")


def pipe(file: Path) -> None:
    """A pipe that nobody writes into."""
    file.unlink()
    os.mkfifo(file)


def packed(file: Path) -> None:
    """The same parts, packed."""
    whole = zipfile.ZipFile(file)
    parts = {part.filename: whole.read(part) for part in whole.infolist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)


def other_archive(file: Path) -> None:
    """A zip archive of something else."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")


def saved(content: Any) -> Callable[[Path], object]:
    """Something else, as torch saves it."""
    return lambda file: torch.save(content, file)


#: Whatever reads it, the file is named.
FILES: dict[str, Callable[[Path], object]] = {
    "empty": written(b""),
    "torn": bytes_of(lambda whole: whole[: len(whole) // 2]),
    "a flipped bit": bytes_of(lambda whole: whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]),
    "a text": written(b"hello"),
    "a page": written(b"<html>please log in</html>"),
    "packed by gzip": bytes_of(gzip.compress),
    "packed parts": packed,
    "another archive": other_archive,
    "a pickle with code": written(pickle.dumps({"state_dict": {}, "x": Evil()})),
    "code among tensors": saved({"state_dict": {}, "x": Evil()}),
    "a folder": folder,
    "a link to nothing": nowhere,
    "a pipe": pipe,
    "a list": saved([1, 2]),
    "nothing in it": saved({}),
    "weights alone": saved({"G.0.weight": torch.zeros(2, 2)}),
}


def replace_part(content: Any, value: Any, place: Sequence[Any]) -> None:
    """Puts another value in the place of a part of a nest; `...` takes the part away."""
    for key in place[:-1]:
        content = content[key]
    if value is ...:
        del content[place[-1]]
    else:
        content[place[-1]] = value


def put(value: Any, *place: Any) -> Callable[[Path], object]:
    """Another value in the place of a part of a checkpoint; `...` takes it away."""

    def change(file: Path) -> None:
        content = torch.load(file, weights_only=True)
        replace_part(content, value, place)
        torch.save(content, file)

    return change


LARGE = torch.zeros(1).expand(10**12)
#: (part, change, what the error names), for every command that takes the weights.
PARTS = (
    ("no zoo", put(..., "zoo"), "last.ckpt"),
    ("zoo a text", put("x", "zoo"), "last.ckpt"),
    ("another class", put("WGAN", "zoo", "class"), "last.ckpt"),
    ("a class of no name", put(7, "zoo", "class"), "last.ckpt"),
    ("another paper", put("nonsense", "zoo", "paper"), "nonsense"),
    ("a paper of no name", put(7, "zoo", "paper"), "last.ckpt"),
    ("a newer format", put(99, "zoo", "format"), "99"),
    ("a format of no number", put("x", "zoo", "format"), "format"),
    ("a tensor that is a text", put("x", "state_dict", "G.1.weight"), "G.1.weight"),
    ("nan", put(torch.full((4, 4), torch.nan), "state_dict", "G.2.running_mean"), "last.ckpt"),
    ("a tensor of another shape", put(torch.zeros(3), "state_dict", "G.1.weight"), "G.1.weight"),
    ("no tensor", put(..., "state_dict", "G.1.weight"), "G.1.weight"),
    ("a tensor too many", put(torch.zeros(1), "state_dict", "G.99.weight"), "G.99.weight"),
    ("terabytes", put(LARGE, "state_dict", "G.1.weight"), "G.1.weight"),
    ("a counter below 0", put(torch.tensor(-1), "state_dict", "images_seen"), "images_seen"),
    ("a counter of two", put(torch.zeros(2), "state_dict", "images_seen"), "images_seen"),
    ("a counter with a point", put(torch.tensor(0.5), "state_dict", "images_seen"), "images_seen"),
)
#: For commands that build the network by them.
SETTINGS = (
    ("no settings", put(..., "hyper_parameters"), "hyper_parameters"),
    ("settings in a list", put([1], "hyper_parameters"), "hyper_parameters"),
    ("an unknown setting", put(3, "hyper_parameters", "colour"), "colour"),
    ("a width below 0", put(-4, "hyper_parameters", "width"), "width"),
    ("a width of no number", put("wide", "hyper_parameters", "width"), "width"),
    ("a width of terabytes", put(10**9, "hyper_parameters", "width"), "last.ckpt"),
    ("a network of no name", put("faces", "hyper_parameters", "network"), "faces"),
)

CASES: list[Case] = [
    *(
        (f"{what}, {name}", change, words, "last.ckpt")
        for what, change in FILES.items()
        for name, words in COMMANDS.items()
    ),
    *((f"{what}, {name}", change, COMMANDS[name], says) for what, change, says in PARTS for name in ("fit", "sample")),
    *(
        (f"{what}, {name}", change, COMMANDS[name], says)
        for what, change, says in SETTINGS
        for name in ("sample", "init_from")
    ),
    (
        "names of classes of no texts",
        put(7, "Digits", "class_names"),
        ["sample", "run", "--labels", "cat"],
        "names of classes",
    ),
]
