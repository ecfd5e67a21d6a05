"""How tests/before was written, and a checkpoint as few numbers.

    python tests/before_runs.py CHECKOUT [--python PYTHON]

begins each run of benchmarks/small_runs.py's SMALL with the code of CHECKOUT, keeps what lies in its folder, and goes
on: what that leaves is the expected outcome.
"""

import argparse
import hashlib
import io
import json
import lzma
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

FOLDER = Path(__file__).parent / "before"
BEGUN, ENDED = 46, 52  # batches: a row of the log, a border of growth, and an update of G lie between
PLAIN_CPU = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
SAMPLED = 256  # values of a tensor, at most
FIXED_SIZE = 1_000_000  # bytes; larger checkpoints are of networks without an option for their size
ROUNDING = 1e-3  # a tensor that another CPU moves by more has a gradient that is all rounding (a bias before BatchNorm)
PERIOD = 1_021  # a prime, so that no two neurons are the same


def read(checkpoint: Path) -> dict[str, Any]:
    """A checkpoint, compressed or not, read without executing anything."""
    content = checkpoint.read_bytes()
    if checkpoint.suffix == ".xz":  # at once: torch jumps about in the file, and each way back would unpack it anew
        content = lzma.decompress(content)
    return dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))


def tensors(value: Any, *, name: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a nest of mappings and lists, with their places."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping | list):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            yield from tensors(item, name=f"{name}.{key}")


def sampled(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Weights and optimizers of a checkpoint: of each tensor at most SAMPLED values, evenly spread."""
    found = {}
    for part in ("state_dict", "optimizer_states"):
        for name, tensor in tensors(content[part], name=part):
            step = -(-tensor.numel() // SAMPLED) | 1  # odd, so that it walks through all columns
            found[name] = tensor.flatten()[::step].clone()
    return found


def numbers(content: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be the same on every machine: counters, random states, settings."""
    return {
        "counters": {name: int(content["state_dict"][name]) for name in ("discriminator_steps", "generator_steps")}
        | {"images_seen": int(content["state_dict"]["images_seen"])},
        "random_states": {name: sha256(state) for name, state in tensors(content["zoo"]["random_states"], name="")},
        "hyper_parameters": json.loads(json.dumps(content["hyper_parameters"])),
    }


def sha256(tensor: Tensor) -> str:
    """Of its values."""
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


def repeated(value: Any) -> Any:
    """A nest whose larger tensors repeat their first PERIOD values: such a checkpoint can be compressed."""
    if isinstance(value, Tensor) and value.is_floating_point() and value.numel() > 4 * PERIOD:
        start = value.flatten()[:PERIOD]
        return start.repeat(-(-value.numel() // PERIOD))[: value.numel()].view_as(value).clone()
    if isinstance(value, Mapping):
        return {key: repeated(item) for key, item in value.items()}
    return [repeated(item) for item in value] if isinstance(value, list) else value


def error(got: Tensor, wanted: Tensor, *, begun: Tensor | None) -> float:
    """How far a tensor is from the one wanted, as a share of how far that one moved since the run was begun."""
    start = torch.zeros_like(wanted) if begun is None or begun.shape != wanted.shape else begun
    wrong, moved = (float((a.double() - b.double()).norm()) for a, b in ((got, wanted), (wanted, start)))
    return wrong / moved if moved else torch.inf if wrong else 0.0


def write(checkouts: tuple[Any, Any], name: str, run: Any, *, work: Path) -> None:
    """Begins a run, keeps it, goes on with it, and keeps what comes out and does not depend on how a CPU rounds.

    Args:
        checkouts: the code, and the same code on a CPU with fewer instructions.
        name: of the run.
        run: the run.
        work: folder for what need not be kept.
    """
    checkout, other = checkouts
    script = f"reproductions/{run.paper}.py"
    here, target = work / name, FOLDER / name
    checkout.run([script, *run.fit(name, batches=BEGUN, more=[])], cwd=work)
    last = here / "checkpoints/last.ckpt"
    if last.stat().st_size > FIXED_SIZE:
        content = read(last)
        torch.save(content | {part: repeated(content[part]) for part in ("state_dict", "optimizer_states")}, last)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for file in here.glob("*.[yj]*"):  # config.yaml, and metrics.jsonl where a paper logs each update
        shutil.copy(file, target)
    (target / "result.json").unlink()  # names the commit, the machine and the time: nothing that a resumed run reads
    (target / "last.ckpt.xz").write_bytes(lzma.compress(last.read_bytes(), preset=9))
    begun = sampled(read(last))
    shutil.copytree(here, work / "other" / name)
    checkout.run([script, *run.resume(name, batches=ENDED)], cwd=work)
    other.run([script, *run.resume(f"other/{name}", batches=ENDED)], cwd=work)
    content = read(last)
    outcome, elsewhere = sampled(content), sampled(read(work / "other" / name / "checkpoints/last.ckpt"))
    errors = {key: error(elsewhere[key], value, begun=begun.get(key)) for key, value in outcome.items()}
    rounding = [key for key, value in errors.items() if value > ROUNDING]
    save_file({key: value for key, value in outcome.items() if key not in rounding}, target / "expected.safetensors")
    largest = max(value for value in errors.values() if value <= ROUNDING)
    print(f"{name}: {len(rounding)} of {len(errors)} tensors are left out, the others agree to {largest:.1e}")
    rows = [json.loads(line) for line in (here / "metrics.jsonl").read_text().splitlines()]
    told = [
        {key: value for key, value in row.items() if key not in ("time", "resumed", "generator_steps")} for row in rows
    ]
    expected = {"images": run.batch * ENDED, "rows": told, "rounding": rounding, **numbers(content)}
    (target / "expected.json").write_text(json.dumps(expected) + "\n")


def main() -> None:
    """Writes tests/before anew."""
    sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
    from small_runs import SMALL
    from two_checkouts import Checkout

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--python", type=Path, help="default: CHECKOUT/.venv/bin/python")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        scripts = work / "reproductions"  # so that no command, which a checkpoint holds, names a folder of this machine
        scripts.symlink_to(arguments.checkout.resolve() / "reproductions")
        with (
            Checkout(arguments.checkout, python=arguments.python, work=work / "own") as own,
            Checkout(arguments.checkout, python=arguments.python, work=work / "plain", settings=PLAIN_CPU) as plain,
        ):
            for name, run in SMALL.items():
                write((own, plain), name, run, work=work)


if __name__ == "__main__":
    main()
