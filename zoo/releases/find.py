"""Releases by name: those that ship with the package, and those at ZOO_RELEASES: a folder, a base URL or hf://OWNER/NAME.

A source is a folder with `index.json` ({name: sha256 of its card}) and a folder for each release. No torch at import.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import DataError, DownloadError, RecordError, ReleaseError, ZooError
from zoo.releases.card import CARD_FILE, INDEX_FILE, NAME, files_of, read_card
from zoo.releases.hub import hub_file, hub_release, is_hub, repository
from zoo.runs.download import blocks
from zoo.runs.folder import DAY_S, sweep, temporary_name, write_atomically
from zoo.runs.lock import RunLock
from zoo.runs.plain import as_json, read_json

SHIPPED = Path(__file__).parent / "shipped"
SETTING = "ZOO_RELEASES"
LARGEST = 64 * 2**20  # bytes of an index, a card or a grid
PATIENCE_S = 60.0  # for another process that lists a release


def list_pretrained() -> list[str]:
    """Names of all releases at hand: shipped ones first, then those of ZOO_RELEASES.

    Raises:
        ReleaseError: ZOO_RELEASES names what cannot be read.
    """
    elsewhere = read_index(os.environ[SETTING]) if os.environ.get(SETTING) else {}
    shipped = sorted(read_index(str(SHIPPED)))
    return shipped + sorted(name for name in elsewhere if name not in shipped)


def hidden() -> list[str]:
    """Names at ZOO_RELEASES that stand for other releases there than those of the package, which are found first."""
    shipped, elsewhere = read_index(str(SHIPPED)), read_index(os.environ[SETTING]) if os.environ.get(SETTING) else {}
    return sorted(name for name in elsewhere.keys() & shipped.keys() if elsewhere[name] != shipped[name])


def own_address(folder: Path) -> str | None:
    """What a release in a folder is loaded by, where its name stands for one of the package; else None."""
    here = folder.parent.resolve() == SHIPPED.resolve()
    return None if here or folder.name not in read_index(str(SHIPPED)) else f"./{folder.name}"


def names_at_hand() -> str:
    """The names for an error about something else: without those of ZOO_RELEASES, where they cannot be read."""
    try:
        names = list_pretrained()
    except ZooError:
        names = sorted(read_index(str(SHIPPED)))
    return ", ".join(names) or "none"


def release_folder(name: str) -> Path:
    """The folder of a release; one at a URL is fetched to the cache first, each file checked before it is kept.

    Raises:
        ReleaseError: no release of that name, or one that cannot be fetched or is not what its index says.
    """
    if NAME.fullmatch(name) is None:
        raise ReleaseError(f"{name!r} is no name of a release: they are PAPER.RECIPE, like {names_at_hand()}")
    shipped = read_index(str(SHIPPED))
    if name in shipped:
        return checked(SHIPPED / name, shipped[name])
    base = os.environ.get(SETTING)
    index = read_index(base) if base else {}
    if name not in index:
        looked = f"the package and {base}" if base else f"the package ({SETTING} names no other place)"
        raise ReleaseError(
            f"there is no release {name!r} in {looked}; there are {', '.join(list_pretrained()) or 'none'}"
        )
    assert base is not None
    if is_hub(base):
        return checked(hub_release(base, name), index[name])
    return fetch(base, name, index[name]) if is_url(base) else checked(Path(base).expanduser() / name, index[name])


def names_release(name_or_path: str) -> bool:
    """Whether this is a release's name, its address at the Hub or its folder; nothing is fetched."""
    path = Path(name_or_path).expanduser()
    named = not path.exists() and NAME.fullmatch(name_or_path) is not None
    return is_hub(name_or_path) or named or (path / CARD_FILE).is_file()


def locate(name_or_path: str) -> Path:
    """The folder of a release by its name, its address at the Hub or its folder; errors as for `release_folder`."""
    if is_hub(name_or_path):
        return hub_release(name_or_path)
    path = Path(name_or_path).expanduser()
    return path if path.is_dir() else release_folder(name_or_path)


def is_url(base: str) -> bool:
    """Whether a base is fetched, not opened."""
    return base.startswith(("http://", "https://", "file://"))


def checked(folder: Path, card_sha256: str) -> Path:
    """The folder, if its card is the one that the index lists."""
    try:
        found = hashlib.sha256((folder / CARD_FILE).read_bytes()).hexdigest()
    except OSError as error:
        raise ReleaseError(f"{folder / CARD_FILE} cannot be read, though {INDEX_FILE} lists it: {error}") from error
    if found != card_sha256:
        raise ReleaseError(
            f"{folder / CARD_FILE} is not the card that {folder.parent / INDEX_FILE} lists (sha256 {found[:16]}..., "
            f"listed {card_sha256[:16]}...): it was changed or swapped; export the release again"
        )
    return folder


def read_index(base: str) -> dict[str, str]:
    """{name: sha256 of its card} of a source."""
    where = f"{base.rstrip('/')}/{INDEX_FILE}"
    try:
        if is_hub(base):
            index = read_json(hub_file(repository(base), INDEX_FILE))
        else:
            index = as_json(download(where), where) if is_url(base) else read_json(Path(where).expanduser())
    except FileNotFoundError as error:
        if base == str(SHIPPED):
            return {}
        raise ReleaseError(f"there is no {where} ({SETTING}={base}): `zoo export RUN --out DIR` makes one") from error
    except RecordError as error:
        raise ReleaseError(f"{where} is no index of releases: {error}") from error
    if not isinstance(index, dict) or not all(NAME.fullmatch(k) and isinstance(v, str) for k, v in index.items()):
        raise ReleaseError(f"{where} is no index of releases: it must be {{name: sha256 of its card}}")
    return index


@contextlib.contextmanager
def one_at_a_time(base: Path) -> Iterator[None]:
    """Inside, no other process changes a source: each would lose what others list.

    Raises:
        RecordError: another process is at it for longer than anybody waits.
    """
    lock = RunLock(base)
    lock.take(wait_s=PATIENCE_S)
    try:
        yield
    finally:
        lock.free()


def add_to_index(base: Path, name: str) -> None:
    """Lists a release (again) in its source's index, in one step; see `one_at_a_time`."""
    index = read_index(str(base)) if (base / INDEX_FILE).is_file() else {}
    index[name] = hashlib.sha256((base / name / CARD_FILE).read_bytes()).hexdigest()
    write_atomically(base / INDEX_FILE, json.dumps(dict(sorted(index.items())), indent=1) + "\n")


def download(url: str, *, largest: int = LARGEST) -> bytes:
    """What lies at a URL, of at most so many bytes.

    Raises:
        ReleaseError: it cannot be fetched, or is larger.
    """
    try:
        return b"".join(blocks(url, largest=largest))
    except DownloadError as error:
        raise ReleaseError(f"{error}; {SETTING} names the place") from error


def fetch(base: str, name: str, card_sha256: str) -> Path:
    """A release at a URL as a folder of the cache, complete or not there at all."""
    from zoo.data.arrays import cache_dir

    folder = cache_dir() / "releases" / f"{name}-{card_sha256[:16]}"
    if folder.is_dir():
        return checked(folder, card_sha256)
    url = f"{base.rstrip('/')}/{name}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent, older_s=DAY_S)
        part = temporary_name(folder.parent / f".{name}")
        part.mkdir(mode=0o700)
    except OSError as error:
        raise DataError(f"the cache {folder.parent} cannot be written: {error}; ZOO_CACHE names another") from error
    try:
        keep(download(f"{url}/{CARD_FILE}"), part / CARD_FILE, sha256=card_sha256, url=f"{url}/{CARD_FILE}")
        card = read_card(part)
        for file, sha256 in files_of(card).items():
            entry = card["files"].get(file.removesuffix(".safetensors"), {"bytes": LARGEST})
            content = download(f"{url}/{file}", largest=entry["bytes"])
            keep(content, part / file, sha256=sha256, url=f"{url}/{file}")
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def keep(content: bytes, path: Path, *, sha256: str, url: str) -> None:
    """Writes what was fetched, if it is what was expected."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        html = " (it looks like a web page)" if content.lstrip()[:1] == b"<" else ""
        raise ReleaseError(
            f"{url} is not what was expected{html}: sha256 {found[:16]}..., expected {sha256[:16]}...; nothing was kept"
        )
    path.write_bytes(content)
