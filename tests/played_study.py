"""A study whose commands are played by a program: what `zoo study` runs, keeps and records, without a training."""

from pathlib import Path
from typing import Any

from zoo.training.study import Member, Study, study_command
from zoo.training.words import Words

ROOT = Path(__file__).parents[1]
RECORD = next((ROOT / "reproductions/records").glob("gan-mnist-seed0.json"))

SCRIPT = """
import json, os, pathlib, signal, sys
subcommand, paper, *words = sys.argv[1:]
assert paper == "gan"
arguments = dict(zip(words[::2], words[1::2]))
run = pathlib.Path(arguments["--run_dir"])
with open(run.parent / "log", "a") as log:
    log.write(" ".join([subcommand, run.name, *words]) + "\\n")
if (run.parent / "senseless").exists():
    print((run.parent / "senseless").read_text())
    sys.exit(1)
if subcommand == "fit":
    (run / "checkpoints").mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text("seed_everything: 0")
    (run / "checkpoints/last.ckpt").touch()
    if (run.parent / "power cut").exists():
        os.kill(os.getpid(), signal.SIGTERM)
    if (run.parent / (run.name + " diverges")).exists():
        sys.exit(1)
    (run / "checkpoints/best.ckpt").touch()
    record = json.loads(pathlib.Path(RECORD).read_text())
    record["tests"], record["seed"] = [], int(arguments.get("--seed_everything", 0))
    record["commands"] = [["zoo", *sys.argv[1:]]]
else:
    record = json.loads((run / "result.json").read_text())
    name = arguments["--ckpt_path"]
    value = record["seed"] + (10.0 if name == "best" else 20.0)
    values, protocols = {"kd_x": value, "kd_x_std": 0.1}, {"kd_x": "p"}
    record["tests"].append({"checkpoint": f"{name}.ckpt", "images_seen": 5, "values": values, "protocols": protocols})
(run / "result.json").write_text(json.dumps(record))
"""


class Place:
    """A study of three runs in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        (folder / "program.py").write_text(SCRIPT.replace("RECORD", repr(str(RECORD))))
        self.folder = folder / "study"
        self.folder.mkdir()
        self.drawn: list[list[str]] = []
        members = {f"a{seed}": Member("A", ["--seed_everything", str(seed)]) for seed in (0, 3)}
        self.study = Study("three runs", {**members, "b": Member("B", [])}, self.draw, lambda runs: {"runs": len(runs)})

    def draw(self, runs: Any) -> Any:
        self.drawn.append(list(runs))
        return []

    def run(self, *arguments: str) -> None:
        command = ["--name", "three", "--run_dir", str(self.folder), *arguments]
        study_command(Words.of(["study", *command]), studies={"three": self.study}, paper="gan")

    @property
    def log(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()
