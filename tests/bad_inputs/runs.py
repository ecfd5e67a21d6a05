"""Files and folders of runs and releases that are damaged or of others, and what else a command may meet.

Cases are (name, change of the folder, words of the command, what the error names). The folder holds `run`, a finished
run, and `own/dcgan.digits`, the release of it.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bad_inputs.checkpoints import FILES, Case, replace_part

Change = Callable[[Path], object]
DEEP = "[" * 100_000 + "]" * 100_000
TEXTS: dict[str, str] = {
    "a text": "hello",
    "half": '{"zoo": 1, "paper":',
    "a list": "[1, 2]",
    "a number": "7",
    "null": "null",
    "deep": DEEP,
    "no UTF-8": "\udcff\udcfe",
    "nothing": "",
    "nan alone": "NaN",
}


def at(name: str, change: Change) -> Change:
    """The change, of a file of the folder."""
    return lambda folder: change(folder / name)


def text_of(content: str) -> Change:
    """A file of this text."""
    return lambda file: file.write_bytes(content.encode("utf-8", "surrogateescape"))


def put(value: Any, *place: Any) -> Change:
    """Another value in the place of a part of a JSON file; `...` takes it away."""

    def change(file: Path) -> None:
        content = json.loads(file.read_text(encoding="utf-8"))
        replace_part(content, value, place)
        file.write_text(json.dumps(content), encoding="utf-8")

    return change


def line(content: str) -> Change:
    """A row at the head of a log."""
    return lambda file: file.write_text(content + "\n" + file.read_text(encoding="utf-8"), encoding="utf-8")


def no_file(file: Path) -> None:
    """Nothing there."""
    file.unlink()


def cases(
    kind: str, file: str, commands: dict[str, list[str]], changes: dict[str, tuple[Change, str]]
) -> Iterator[Case]:
    """Each change of a file under each command."""
    for command, words in commands.items():
        for name, (change, names) in changes.items():
            yield f"{kind}: {name}, {command}", at(file, change), words, names


RELEASE = "own/dcgan.digits"
OWN = {
    "sample": ["sample", RELEASE],
    "verify": ["verify", RELEASE],
    "interpolate": ["interpolate", RELEASE],
}
INIT = {"init_from": ["fit", "dcgan", "--recipe=digits", f"--init_from={RELEASE}", "--images=16", "--run_dir=new"]}
CARD = f"{RELEASE}/card.json"
CARDS = [
    *cases("card", CARD, OWN | INIT, {name: (text_of(text), "card.json") for name, text in TEXTS.items()}),
    *cases(
        "card",
        CARD,
        {"sample": OWN["sample"]} | INIT,
        {
            "no paper": (put(..., "paper"), "card.json"),
            "another paper": (put("nonsense", "paper"), "nonsense"),
            "a paper of no name": (put(7, "paper"), "card.json"),
            "no settings": (put(..., "hyperparameters"), "card.json"),
            "settings of a text": (put("x", "hyperparameters"), "card.json"),
            "a setting too large": (put(10**9, "hyperparameters", "width"), "width"),
            "a setting that none knows": (put(1, "hyperparameters", "nonsense"), "nonsense"),
            "no files": (put(..., "files"), "card.json"),
            "files of a text": (put("x", "files"), "card.json"),
            "no hash": (put(..., "files", "G", "sha256"), "card.json"),
            "another hash": (put("0" * 64, "files", "G", "sha256"), "G.safetensors"),
            "a file of a text": (put("x", "files", "G"), "card.json"),
            "a name out of the folder": (
                put({"../../x": {"sha256": "0" * 64, "bytes": 1, "parameters": 1}}, "files"),
                "card.json",
            ),
        },
    ),
]
WEIGHTS = list(
    cases(
        "weights",
        f"{RELEASE}/G.safetensors",
        {"sample": OWN["sample"]} | INIT,
        {name: (change, "G.safetensors") for name, change in FILES.items() if name not in ("packed parts",)}
        | {"none": (no_file, "G.safetensors")},
    )
)
READ = {
    "records": ["records", "run"],
    "test": ["test", "dcgan", "--run_dir=run"],
    "export": ["export", "run", "--out", "out"],
    "push": ["wandb-push", "run"],
}
RECORDS = [
    *cases("record", "run/result.json", READ, {name: (text_of(text), "result.json") for name, text in TEXTS.items()}),
    *cases(
        "record",
        "run/result.json",
        {name: READ[name] for name in ("records", "export", "push")},
        {
            "no paper": (put(..., "paper"), "result.json"),
            "a paper of no name": (put(7, "paper"), "result.json"),
            "tests of a text": (put("x", "tests"), "result.json"),
            "a test of a number": (put([7], "tests"), "result.json"),
            "images of a text": (put("x", "images_seen"), "result.json"),
            "images below 0": (put(-1, "images_seen"), "result.json"),
        },
    ),
]
LOGS = list(
    cases(
        "log",
        "run/metrics.jsonl",
        {"push": READ["push"]},
        {
            "a text": (line("hello"), "metrics.jsonl"),
            "a list": (line("[1]"), "metrics.jsonl"),
            "no counter": (line('{"fd_lenet100": 1}'), "metrics.jsonl"),
            "a counter of a text": (line('{"images_seen": "x", "time": 1}'), "metrics.jsonl"),
            "deep": (line(DEEP), "metrics.jsonl"),
        },
    )
)
CONFIGS = list(
    cases(
        "config",
        "run/config.yaml",
        {
            "test": READ["test"],
            "fit": ["fit", "dcgan", "--run_dir=run", "--ckpt_path=last", "--images=48"],
            "export": READ["export"],
        },
        {
            "a list": (text_of("[1, 2]"), "config.yaml"),
            "a text": (text_of("hello"), "config.yaml"),
            "no YAML": (text_of("a: [1"), "config.yaml"),
            "no UTF-8": (text_of("a: \udcff"), "config.yaml"),
            "nothing": (text_of(""), "config.yaml"),
            "none": (no_file, "config.yaml"),
            "code": (text_of("!!python/object/apply:os.mkdir [executed]"), "config.yaml"),
            "a class of others": (text_of("data: {class_path: os.system, init_args: {command: ls}}"), "config.yaml"),
        },
    )
)


def made(name: str, content: dict[str, bytes | None]) -> Change:
    """A folder with these files; None: a folder."""

    def change(folder: Path) -> None:
        for file, data in content.items():
            path = folder / name / file
            if data is None:
                path.mkdir(parents=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    return change


def piped(folder: Path) -> None:
    """A folder with a pipe in it."""
    (folder / "photos").mkdir()
    os.mkfifo(folder / "photos/a.png")


def closed(folder: Path) -> None:
    """A folder that is a file."""
    (folder / "photos").write_bytes(b"")


FIT_FOLDER = [
    "fit",
    "dcgan",
    "--recipe=digits",
    "--data=ImageFolder",
    "--model.channels=3",
    "--data_dir=photos",
    "--images=16",
    "--run_dir=new",
]
MEASURE = ["evaluate", "--real", "photos", "--fake", "photos", "--features", "lenet"]
FOLDERS: list[Case] = [
    (f"folder: {name}, {command}", change, words, "photos")
    for command, words in (("fit", FIT_FOLDER), ("evaluate", MEASURE))
    for name, change in (
        ("empty", made("photos", {"a": None})),
        ("of texts", made("photos", {"a.txt": b"hello"})),
        ("a picture of nothing", made("photos", {"a.png": b""})),
        ("a picture of text", made("photos", {"a.png": b"hello", "b.png": b"hello"})),
        ("a torn picture", made("photos", {"a.png": b"\x89PNG\r\n\x1a\n" + b"0" * 40})),
        ("a bad archive", made("photos.zip", {})),
        ("a file", closed),
        ("a pipe in it", piped),
        ("PostScript", made("photos", {"a.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"})),
    )
]

CASES: list[Case] = [*CARDS, *WEIGHTS, *RECORDS, *LOGS, *CONFIGS, *FOLDERS]

#: (variable, value, words of the command, what the error names).
ENVIRONMENT: list[tuple[str, str, list[str], str]] = [
    *(
        (name, value, ["fit", "dcgan", "--recipe=digits", "--images=16", "--run_dir=new"], name)
        for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_PORT", "SLURM_PROCID", "SLURM_NTASKS")
        for value in ("x", "-1", "1.5")
    ),
    ("RANK", "x", ["records", "run"], "RANK"),
    ("ZOO_RELEASES", "/nowhere", ["releases"], "/nowhere"),
    ("ZOO_RELEASES", "/nowhere", ["sample", "x.y"], "/nowhere"),
    ("ZOO_RELEASES", "http://127.0.0.1:9", ["sample", "x.y"], "127.0.0.1:9"),
    ("ZOO_RELEASES", "ftp://127.0.0.1:9", ["sample", "x.y"], "ftp://"),
    (
        "ZOO_CACHE",
        "/proc/nowhere",
        ["fit", "dcgan", "--recipe=digits", "--images=16", "--run_dir=new"],
        "/proc/nowhere",
    ),
    ("ZOO_DATA", "/nowhere", ["fit", "dcgan", "--recipe=mnist", "--images=16", "--run_dir=new"], "/nowhere"),
    (
        "WANDB_MODE",
        "nonsense",
        ["fit", "dcgan", "--recipe=digits", "--images=16", "--run_dir=new", "--wandb=true"],
        "WANDB_MODE",
    ),
]
