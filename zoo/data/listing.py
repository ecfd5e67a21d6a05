"""Which image files a folder or a zip archive holds, which of them are left out and why, and what identifies them."""

import hashlib
import os
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from zoo.data.arrays import Int64Array, fixed_order
from zoo.errors import DataError
from zoo.runs.text import shown

EXTENSIONS = frozenset(
    {
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".dib", ".webp", ".gif", ".avif"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".jp2", ".j2k", ".qoi"),
    }
)
SAMPLED, SAMPLE_BYTES = 256, 1 << 20  # files whose content is looked at, and how much of each
LARGEST_ENTRY = 1 << 30  # bytes of one file in an archive, unpacked


@dataclass(frozen=True)
class ImageFiles:
    """A list of image files. names: relative to root (a folder or a .zip), in the order of the data set.

    labels: int64 [N] or None. source: a hash of every name, size and mtime.
    place: what else tells these files from others of the same names, sizes and times on this machine.
    inside: the folder of an archive that the names are relative to, "" or ending in "/".
    left_out: (name, reason) of files that are not among them.
    """

    root: Path
    names: tuple[str, ...]
    labels: Int64Array | None
    class_names: tuple[str, ...] | None
    source: str
    place: str = ""
    inside: str = ""
    left_out: tuple[tuple[str, str], ...] = ()

    def select(self, keep: Sequence[int]) -> "ImageFiles":
        """The files number keep[0], keep[1], ... in this order."""
        names = tuple(self.names[i] for i in keep)
        labels = None if self.labels is None else self.labels[list(keep)]
        return replace(self, names=names, labels=labels, source=hash_of("\n".join((self.source, *names))))

    def below(self, folder: str) -> "ImageFiles":
        """The files of an archive's folder, their names relative to it."""
        names = tuple(name.removeprefix(f"{folder}/") for name in self.names if name.startswith(f"{folder}/"))
        return replace(self, names=names, inside=f"{self.inside}{folder}/", source=hash_of(f"{self.source}/{folder}"))

    def opened(self, name: str, archive: zipfile.ZipFile | None) -> IO[bytes]:
        """A file, for reading."""
        return (self.root / name).open("rb") if archive is None else archive.open(self.inside + name)

    def sha256(self, name: str, archive: zipfile.ZipFile | None, *, most: int | None = None) -> bytes:
        """Of a file's bytes, or of so many at its beginning.

        Raises:
            DataError: it cannot be read.
        """
        found, left = hashlib.sha256(), most
        try:
            with self.opened(name, archive) as file:
                while block := file.read(SAMPLE_BYTES if left is None else min(left, SAMPLE_BYTES)):
                    found.update(block)
                    left = None if left is None else left - len(block)
        except (OSError, RuntimeError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
            where = shown(f"{self.root}{os.sep}{name}")
            raise DataError(f"{where} cannot be read: {shown(str(error))}. Replace it or take it away.") from error
        return found.digest()

    def content(self) -> str:
        """A hash of what the files hold: of all of them where they are few, else of some, spread over the list.

        Raises:
            DataError: one of them cannot be read.
        """
        found = hashlib.sha256()
        archive = zipfile.ZipFile(self.root) if self.root.is_file() else None
        for i in sorted({round(k) for k in np.linspace(0, len(self.names) - 1, min(SAMPLED, len(self.names)))}):
            found.update(self.sha256(self.names[i], archive, most=SAMPLE_BYTES))
        return found.hexdigest()

    def summary(self) -> str:
        """What was found, as one line: images, classes, files left out and why."""
        parts = [f"{len(self.names):,} images"]
        if self.class_names is not None:
            listed = ", ".join(shown(name) for name in self.class_names[:20])
            parts.append(f"{len(self.class_names)} classes ({listed}{', ...' if len(self.class_names) > 20 else ''})")
        reasons = Counter(reason for _, reason in self.left_out)
        for reason, count in reasons.items():
            first = next(name for name, why in self.left_out if why == reason)
            parts.append(f"{count:,} left out: {reason} ({shown(first)}{', ...' if count > 1 else ''})")
        return "; ".join(parts)


def hash_of(text: str) -> str:
    """sha256 (hex) of a text, in which names that are no UTF-8 may occur."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def natural(name: str) -> tuple[list[tuple[int, int]], str]:
    """A key that sorts as text does, but for runs of digits, which sort as numbers: 2 before 10."""
    parts = re.findall("[0-9]+|[^0-9]", name)
    return [(ord("0"), int(part)) if "0" <= part[0] <= "9" else (ord(part), -1) for part in parts], name


def list_images(folder: Path) -> ImageFiles:
    """All image files under a folder, recursively, by name; no labels; hidden ones are left out."""
    found, places = [], []
    left_out: list[tuple[str, str]] = []
    for parent, name in walk(folder, left_out):
        full = os.path.join(folder, parent, name)  # noqa: PTH118 - os.path: 200,000 files are listed at each start
        path = f"{parent}/{name}" if parent else name
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
        if suffix not in EXTENSIONS:
            left_out.append((path, f"{suffix or 'no suffix'}, which is no kind of image read here"))
            continue
        try:
            status = os.stat(full)  # noqa: PTH116
        except OSError as error:
            dangling = os.path.islink(full) and isinstance(error, FileNotFoundError)  # noqa: PTH114
            left_out.append((path, "a link to nothing" if dangling else str(error.strerror)))
            continue
        if not stat.S_ISREG(status.st_mode):
            left_out.append((path, "no regular file"))
            continue
        found.append((path, status.st_size, status.st_mtime_ns))
        places.append((path, status.st_dev, status.st_ino, status.st_ctime_ns))
    found.sort()
    source = hash_of("\n".join(map(repr, found)))
    place = hash_of(repr((os.fspath(folder.resolve()), sorted(places))))
    names = tuple(name for name, _, _ in found)
    return ImageFiles(folder, names, None, None, source, place=place, left_out=tuple(left_out))


def walk(folder: Path, left_out: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """(folder, name) of every file that is not hidden, folders relative to `folder` ("" for itself).

    Links to folders elsewhere are followed; one that leads back into `folder`, or to a folder that holds it, is not,
    and no folder is read a second time.
    """
    root = os.path.realpath(folder)
    seen = {root}

    def refuse(error: OSError) -> None:
        left_out.append((os.path.relpath(error.filename or folder, folder), f"a folder: {error.strerror}"))

    for parent, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        relative = Path(parent).relative_to(folder).as_posix()
        prefix = "" if relative == "." else relative
        followed = []
        for name in sorted(name for name in folders if not name.startswith((".", "__MACOSX"))):
            if os.path.islink(full := os.path.join(parent, name)):  # noqa: PTH114, PTH118
                target = os.path.realpath(full)
                back = os.path.commonpath([root, target]) in (root, target) or Path(target) in (
                    here := Path(os.path.realpath(parent)),
                    *here.parents,
                )
                if back or target in seen:
                    left_out.append((f"{prefix}/{name}" if prefix else name, "a link to a folder that is read already"))
                    continue
                seen.add(target)
            followed.append(name)
        folders[:] = followed
        yield from ((prefix, name) for name in files if not name.startswith("."))


def list_zip(archive: Path) -> ImageFiles:
    """All image files in a zip archive, sorted by name. Raises ValueError where the archive is not whole."""
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [entry for entry in file.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DataError(f"{archive} is not a whole zip archive ({error}); download it again") from error
    names, left_out = [], []
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if any(part.startswith((".", "__MACOSX")) for part in path.parts):
            continue
        if path.suffix.lower() not in EXTENSIONS:
            left_out.append((entry.filename, f"{path.suffix or 'no suffix'}, which is no kind of image read here"))
        elif entry.file_size > LARGEST_ENTRY:
            left_out.append((entry.filename, f"unpacked it has {entry.file_size:,} bytes"))
        else:
            names.append(entry.filename)
    status = archive.stat()
    source = hash_of(repr((archive.name, status.st_size, status.st_mtime_ns)))
    place = hash_of(repr((os.fspath(archive.resolve()), [(e.filename, e.CRC, e.file_size) for e in entries])))
    return ImageFiles(archive, tuple(sorted(set(names))), None, None, source, place=place, left_out=tuple(left_out))


def list_any(place: Path) -> ImageFiles:
    """The image files of a folder or of a zip archive; the one folder that an archive consists of is stepped into."""
    if not place.is_file():
        return list_images(place)
    files = list_zip(place)
    while len(tops := {name.partition("/")[0] for name in files.names}) == 1 and "/" in files.names[0]:
        if (top := next(iter(tops))).lower() in ("train", "test"):
            break
        files = files.below(top)
    return files


def with_class_labels(
    files: ImageFiles, class_names: Sequence[str], folders: Sequence[str] | None = None
) -> ImageFiles:
    """Label each file by the first folder of its name, and shuffle the list (always alike).

    class_names[k] is the name of class k, folders[k] its folder (the same where not given). The files of a
    folder of class folders come sorted by class: shuffled once, the first n of them are balanced to chance.
    Raises ValueError for a file outside these folders.
    """
    number = {folder: k for k, folder in enumerate(folders or class_names)}
    if strange := next((name for name in files.names if name.partition("/")[0] not in number), None):
        known = ", ".join(shown(folder) for folder in list(number)[:20])
        raise DataError(
            f"{files.root}: there are images outside the class folders ({known}) of the training images: "
            f"{shown(strange)}; take them away, or train on that class too"
        )
    labels = np.array([number[name.partition("/")[0]] for name in files.names], dtype=np.int64)
    return replace(files, labels=labels, class_names=tuple(class_names)).select(fixed_order(len(labels)).tolist())
