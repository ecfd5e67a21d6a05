"""What benchmarks against other tools have in common: a contest that goes there and back, a clock, tables, options."""

import argparse
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

CLOCKS: Mapping[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Rounds, clock, and a file for all measurements."""
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    parser.add_argument("--json", metavar="FILE", default=None, help="also write all measurements there")


def begin(arguments: argparse.Namespace) -> None:
    """Says under which conditions is measured."""
    warnings.filterwarnings("ignore")
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {os.cpu_count()} cores, {arguments.clock} "
        f"clock, {arguments.rounds} rounds, load at the start {os.getloadavg()[0]:.1f}"
    )


def keep(found: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    """Writes all measurements, where a file was named."""
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=1) + "\n")


def contest(sides: Mapping[str, Callable[[], object]], *, rounds: int, clock: str) -> dict[str, list[float]]:
    """Seconds of each side, twice a round: there and back."""
    now = CLOCKS[clock]
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name in [*sides, *reversed(sides)]:
            start = now()
            sides[name]()
            seconds[name].append(now() - start)
    return seconds


def spread(values: list[float], digits: int = 3) -> str:
    return f"{statistics.median(values):.{digits}g} [{min(values):.{digits}g}-{max(values):.{digits}g}]"


def table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    print(f"\n{title}")
    for line in lines:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
