"""The words of a command line, read once, before its settings are parsed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.training.config_files import settings_of

#: Options that decide which settings are parsed: taken off the command line, so that its parser never sees them.
TAKEN_FROM_RUNS = ("recipe", "run_dir", "name", "ckpt_path", "dry_run")
FLAGS = ("dry_run",)  # of these, such as need no value
TAKEN = {"study": ("name", "run_dir", "members", "jobs", "earlier")}
#: Of these, files and folders.
PATHS = ("run_dir", "ckpt_path", "earlier")
#: Options whose value the parser would also take for a file of settings.
GROUPS = ("data", "model", "trainer", "keep", "evaluation")


@dataclass(frozen=True)
class Words:
    """A command line of fit, test, predict or study.

    Attributes:
        subcommand: its first word.
        taken: the last value of each option that is taken off it.
        given: all other options, each with its last value ("" where it has none).
        rest: the words that are left for the parser; those of --config first, so that options override files.
        settings: what the files of --config say, nested; the later file counts.
    """

    subcommand: str
    taken: Mapping[str, str]
    given: Mapping[str, str]
    rest: Sequence[str]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, arguments: Sequence[str]) -> Words:
        """Reads `--name VALUE` and `--name=VALUE`.

        Raises:
            UsageError: an option that is taken, at the end and without its value; a file of settings that is not
                there, names code, or says another recipe than the command line.
            RecordError: a file of settings that cannot be read.
        """
        names = TAKEN.get(arguments[0], TAKEN_FROM_RUNS)
        taken: dict[str, str] = {}
        given: dict[str, str] = {}
        rest: list[str] = []
        words, without_value = iter(arguments[1:]), ""
        for word in words:
            name, has_value, value = word.removeprefix("--").partition("=")
            if word.startswith("--") and name in names and name in FLAGS:
                taken[name] = value or "true"
                continue
            if word.startswith("--") and name in names:
                taken[name] = value if has_value else next(words, "")
                if not taken[name]:
                    raise UsageError(f"--{name} needs a value")
                continue
            rest.append(word)
            if word.startswith("-"):
                given[name], without_value = value, "" if has_value else name
            elif without_value:
                given[without_value], without_value = word, ""
        refuse_settings_files(given)
        files = [] if arguments[0] == "study" else config_files(rest)
        settings: dict[str, Any] = {}
        for file in files:
            settings |= settings_of(Path(file))
        rest = [*(f"--config={file}" for file in files), *(without_config(rest) if files else rest)]
        taken = taken_with(settings, taken)
        taken |= {name: at_home(taken[name]) for name in PATHS if name in taken}
        return cls(arguments[0], taken, given, rest, settings)

    @property
    def files(self) -> list[str]:
        """The files of --config."""
        return config_files(self.rest)

    def source_of(self, option: str) -> str:
        """ "FILE: " before what is said of an option that a file of --config sets; else nothing."""
        name = option.removeprefix("--")
        group = self.settings if name in self.settings or "." not in name else self.settings.get(name.split(".")[0])
        in_file = isinstance(group, Mapping) and (name in group or name.split(".")[-1] in group)
        return f"{', '.join(self.files)}: " if in_file and name not in self.given else ""

    @property
    def asks_for_help(self) -> bool:
        """Whether the short help is to be printed instead."""
        return "help" in self.given or "-h" in self.given

    @property
    def dry_run(self) -> bool:
        """Whether a training is only to be measured.

        Raises:
            UsageError: it is none, or the option has a value that says neither yes nor no.
        """
        text = self.taken.get("dry_run", "false")
        if text not in ("true", "false"):
            raise UsageError(f"--dry_run is true or false, not {text!r}")
        if text == "true" and self.subcommand != "fit":
            raise UsageError(f"--dry_run is of fit: {self.subcommand} trains nothing")
        return text == "true"

    @property
    def inspecting(self) -> bool:
        """Whether something is to be printed, and nothing done."""
        return self.asks_for_help or "help_all" in self.given or any(n.startswith("print_config") for n in self.given)

    def with_recipe(self, recipe: str) -> Words:
        """The same with a recipe, as if it had been named."""
        return replace(self, taken={**self.taken, "recipe": recipe})


def config_files(words: Sequence[str]) -> list[str]:
    """The files that --config names, in their order."""
    found = []
    for word, following in pairwise([*words, ""]):
        if is_config(word):
            found.append(word.partition("=")[2] if "=" in word else following)
            if not found[-1]:
                raise UsageError("--config needs the name of a file")
    return [at_home(file) for file in found]


def at_home(path: str) -> str:
    """A path whose `~`, which a shell leaves alone in `--run_dir=~/x` and nothing looks at in a file, is the home."""
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:  # the home of nobody
        return path


def without_config(words: Sequence[str]) -> list[str]:
    """The words without --config and its values."""
    before = ["", *words]
    return [
        word
        for last, word in zip(before, words, strict=False)
        if not is_config(word) and last not in ("--config", "-c")
    ]


def is_config(word: str) -> bool:
    """Whether it is --config, as Lightning's command line has it."""
    return word in ("--config", "-c") or word.startswith("--config=")


def refuse_settings_files(given: Mapping[str, str]) -> None:
    """Raises UsageError for a group's settings in a file of their own, which nothing would look through."""
    for name, value in given.items():
        if name.split(".")[0] in GROUPS and value.endswith((".yaml", ".yml", ".json")):
            raise UsageError(f"--{name} {value}: settings in a file come by --config")


def taken_with(settings: Mapping[str, Any], taken: Mapping[str, str]) -> dict[str, str]:
    """Options that are taken off the command line, those in a file of settings among them."""
    names = [name for name in TAKEN_FROM_RUNS if name not in FLAGS]
    own = {name: settings[name] for name in names if settings.get(name) is not None}
    taken = {**{name: "true" for name in FLAGS if settings.get(name) is True}, **taken}
    for name, value in own.items():
        if not isinstance(value, str) or not value:
            raise UsageError(f"{name} in the file of --config must be a text, not {value!r}")
    if taken.get("recipe", own.get("recipe")) != own.get("recipe") and "recipe" in own:
        raise UsageError(
            f"--recipe {taken['recipe']}, but the file of --config is of recipe {own['recipe']}: leave one of them out"
        )
    if "run_dir" in taken or "name" in taken:
        own = {name: value for name, value in own.items() if name not in ("run_dir", "name")}
    return {**own, **taken}


def called_as(paper: str, subcommand: str) -> list[str]:
    """How one starts this subcommand here: `zoo fit dcgan` or `python reproductions/dcgan.py fit`."""
    return ["zoo", subcommand, paper] if program() == ["zoo"] else [*program(), subcommand]


def command_line() -> list[str]:
    """The command as typed, for the record: `python`, the script's name, its arguments; or `zoo` and its arguments."""
    return [*program(), *sys.argv[1:]]


def program() -> list[str]:
    """What runs here: the `zoo` command, or a script."""
    file = Path(sys.argv[0])
    is_zoo = file.stem == "zoo" or file.parts[-2:] == ("zoo", "__main__.py")
    return ["zoo"] if is_zoo else ["python", os.path.relpath(file)]
