"""Command lines as they are handed on: in cards, in committed records, on pages. No torch at import."""

from __future__ import annotations

import re
from itertools import pairwise

#: Options whose values are files, or names.
NAMED_FILES = ("--init_from", "--ckpt_path", "--config", "-c")
#: A folder or file of one machine: a whole value, or a text in one that is JSON or YAML; no address (https://...).
_ABSOLUTE = re.compile(r"""(?<![^\s"'\[{,:=])(?:~|/(?!/)|[A-Za-z]:\\)[^\s"',\]}]*""")
#: Options whose values are folders.
FOLDERS = {"--data_dir": "DIR", "--run_dir": "RUN", "--data.root": "DIR", "--data.init_args.root": "DIR"}


def without_folders(command: list[str]) -> list[str]:
    """A command line as another machine would be given it, and as anybody may read it: see `value_to_share`."""
    words = [value_to_share(before, word) for before, word in pairwise(["", *command])]
    for i, word in enumerate(words):
        option, is_set, value = word.partition("=")
        if is_set:
            words[i] = f"{option}={value_to_share(option, value)}"
    return words


def value_to_share(option: str, value: str) -> str:
    """An option's value. Of files to start from, and of what else lies at an absolute path, the name is kept; of a
    logger its class alone, as its arguments may hold a key."""
    if option.startswith("--trainer.logger") and ("." in option[10:] or value.startswith(("[", "{"))):
        return "..."
    if option in NAMED_FILES:
        return name_of(value)
    return FOLDERS.get(option) or _ABSOLUTE.sub(lambda found: name_of(found[0]), value)


def name_of(place: str) -> str:
    """The last part of a path; an address of the Hub (hf://OWNER/NAME) as it is."""
    return place if place.startswith("hf://") else re.split(r"[\\/]+", place.rstrip("\\/"))[-1]
