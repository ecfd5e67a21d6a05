"""Releases at the Hugging Face Hub, named hf://OWNER/NAME or hf://OWNER/NAME@REVISION.

Files are fetched by `huggingface_hub` into its own cache, and out of that without a network (HF_HUB_OFFLINE=1); it also
knows HF_TOKEN, HF_HOME and HF_ENDPOINT. Only what a card describes is fetched: JSON, PNG and safetensors. No torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from zoo.errors import ReleaseError, UsageError
from zoo.releases.card import CARD_FILE, INDEX_FILE, files_of, read_card
from zoo.runs.environment import VERSION
from zoo.runs.extras import require

HUB = "hf://"
LIBRARY = "lightning-gan-zoo"
_PART = r"[A-Za-z0-9_][\w.-]*"
ADDRESS = re.compile(rf"(?:hf://)?({_PART}/{_PART}?)(?:@([\w./-]+))?/?", re.ASCII)


class Repository(NamedTuple):
    """A repository of models at the Hub.

    Attributes:
        name: "OWNER/NAME".
        revision: a branch, a tag or a commit; None is the newest commit.
    """

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{HUB}{self.name}" + (f"@{self.revision}" if self.revision else "")


def is_hub(text: str) -> bool:
    """Whether it is an address of the Hub."""
    return text.startswith(HUB)


def repository(address: str) -> Repository:
    """hf://OWNER/NAME[@REVISION], or without hf://, as its parts; UsageError for another text."""
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise UsageError(f"{address!r} is no repository of the Hub: hf://OWNER/NAME, or hf://OWNER/NAME@REVISION")
    return Repository(found[1], found[2])


def hub_file(place: Repository, file: str) -> Path:
    """A file of a repository in the Hub's cache, where it is fetched to if it is not there.

    Raises:
        ReleaseError: no such repository, revision or file, or no way to it.
        UsageError: huggingface_hub is not installed.
    """
    require("huggingface_hub", purpose=str(place))
    from huggingface_hub import hf_hub_download

    with in_our_words(place, file):
        found = hf_hub_download(
            place.name, file, revision=place.revision, library_name=LIBRARY, library_version=VERSION
        )
    return Path(found)


def hub_release(address: str, folder: str = "") -> Path:
    """The folder, in the Hub's cache, of the release in a repository or in a folder of it; all files of one commit.

    Raises:
        ReleaseError: as for `hub_file`, no card that this zoo reads, or a file that is not what its card says.
        UsageError: no address, or huggingface_hub is not installed.
    """
    place, inside = repository(address), f"{folder}/" if folder else ""
    path = hub_file(place, f"{inside}{CARD_FILE}")
    snapshot = path.parents[1] if folder else path.parent  # named by the commit
    place = place._replace(revision=snapshot.name)
    for file, sha256 in files_of(read_card(path.parent)).items():
        found = hashlib.sha256(hub_file(place, f"{inside}{file}").read_bytes()).hexdigest()
        if found != sha256:
            raise ReleaseError(
                f"{place}: {inside}{file} is not what its {CARD_FILE} describes (sha256 {found[:16]}..., the card says "
                f"{sha256[:16]}...), and was not read. If it was damaged here, delete {snapshot.parents[1]} and fetch "
                "it again; else do not trust this repository"
            )
    return path.parent


@contextlib.contextmanager
def in_our_words(place: Repository, file: str = "") -> Iterator[None]:
    """Turns whatever huggingface_hub raises inside (its own errors, or its HTTP client's) into a ReleaseError."""
    try:
        yield
    except Exception as error:
        raise ReleaseError(f"{place}: {reason(error, place, file)}") from error


def reason(error: Exception, place: Repository, file: str) -> str:
    """What went wrong at the Hub, and what to do."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return "the Hub cannot be reached while HF_HUB_OFFLINE is set: unset it"
    if isinstance(error, errors.LocalEntryNotFoundError):
        cache = f"{file} is not in the cache {constants.HF_HUB_CACHE}"
        if constants.HF_HUB_OFFLINE:
            return f"{cache}, and HF_HUB_OFFLINE is set: unset it to fetch it"
        return f"{cache}, and {constants.ENDPOINT} cannot be reached ({error.__cause__ or 'no answer'})"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"there is no such repository at {constants.ENDPOINT}, or it is private: for those, HF_TOKEN must hold a "
            "token that may read it"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"the repository {place.name} has no branch, tag or commit {place.revision}"
    if isinstance(error, errors.EntryNotFoundError):
        if file == INDEX_FILE:
            return f"the repository holds no {file}, so it is no folder of releases; a release is loaded as {place}"
        return (
            f"the repository holds no {file}, so it is no release of this zoo (`zoo push` makes them); of a folder of "
            f"releases one is named, like dcgan.mnist, where ZOO_RELEASES={place} is set"
        )
    told = getattr(error, "server_message", None) or str(error)
    return f"the Hub at {constants.ENDPOINT} refuses: {' '.join(told.split()) or type(error).__name__}"
