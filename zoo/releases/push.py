"""Releases sent to the Hugging Face Hub: a push is one commit, so that nothing half-sent is found there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import ReleaseError, UsageError
from zoo.releases.card import CARD_FILE, INDEX_FILE, NETWORKS, files_of
from zoo.releases.find import SHIPPED, checked, read_index
from zoo.releases.hub import LIBRARY, in_our_words, repository
from zoo.releases.model_card import collection_card, model_card
from zoo.releases.readme import README_FILE
from zoo.releases.release import Release
from zoo.runs.environment import VERSION
from zoo.runs.extras import require

OF_ANYBODY = {".gitattributes", README_FILE, "LICENSE"}  # what a new repository may hold


class Destination:
    """A repository at the Hub that is pushed to, checked before anything costly is done.

    Args:
        address: OWNER/NAME or hf://OWNER/NAME; it is made where it does not exist.
        private: whether only its owner may see the repository; one that all can see is refused then.
        licence: the Hub's name of a licence, for the model card; None says none.

    Raises:
        UsageError: no such address, no token, or huggingface_hub is not installed.
    """

    def __init__(self, address: str, *, private: bool = False, licence: str | None = None) -> None:
        require("huggingface_hub", purpose="zoo push")
        from huggingface_hub import HfApi, constants, get_token

        self.place, self.private, self.licence = repository(address), private, licence
        if self.place.revision is not None:
            raise UsageError(
                f"{address}: a push goes to the repository's main branch; leave @{self.place.revision} out"
            )
        with in_our_words(self.place):
            token = get_token()
        if not token:
            raise UsageError(
                f"a push to {self.place} needs a token that may write: set HF_TOKEN to one "
                f"({constants.ENDPOINT}/settings/tokens makes them); nothing was sent"
            )
        self.api = HfApi(token=token, library_name=LIBRARY, library_version=VERSION)

    def push(self, release: Release) -> str:
        """Sends a release that loads, files checked against its card; the address, with the commit, that loads it.

        Raises:
            ReleaseError: a damaged release, a repository that holds something else, or a Hub that refuses.
        """
        release.check_files()
        release.module()
        files: dict[str, Path | bytes] = {name: release.folder / name for name in (*files_of(release.card), CARD_FILE)}
        files[README_FILE] = model_card(release.card, self.place, licence=self.licence).encode()
        return self._commit(files, mark=CARD_FILE, message=f"{release.card['name']}, by zoo push")

    def push_all(self, folder: Path) -> str:
        """Sends a folder of releases, which ZOO_RELEASES=hf://OWNER/NAME then finds; as `push`.

        Raises:
            ReleaseError: also for a folder that lists none, or one of a name that the package has for another, and for
                a repository that lists releases which it lacks.
        """
        index = read_index(str(folder))
        if not index:
            raise ReleaseError(f"{folder / INDEX_FILE} lists no release: `zoo export RUN --out {folder}` makes one")
        shipped = read_index(str(SHIPPED))
        if taken := sorted(name for name, sha256 in index.items() if shipped.get(name, sha256) != sha256):
            raise ReleaseError(
                f"{', '.join(taken)} of {folder} would not be found there: the package has other releases of that "
                "name, which come first; export with another --name, or push it alone"
            )
        files: dict[str, Path | bytes] = {INDEX_FILE: folder / INDEX_FILE}
        cards = []
        for name, sha256 in index.items():
            release = Release(checked(folder / name, sha256))
            release.check_files()
            release.module()
            files |= {f"{name}/{file}": release.folder / file for file in (*files_of(release.card), CARD_FILE)}
            cards.append(release.card)
        files[README_FILE] = collection_card(cards, self.place, licence=self.licence).encode()
        return self._commit(files, mark=INDEX_FILE, message=f"{len(index)} releases, by zoo push", index=index)

    def _commit(
        self, files: Mapping[str, Path | bytes], *, mark: str, message: str, index: Mapping[str, str] | None = None
    ) -> str:
        """One commit of all files. `mark` is the file that a repository of this kind holds."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        head = self._head()
        if self.private and head is not None and not head.private:
            raise ReleaseError(
                f"{self.place} is there already and is seen by everybody, so nothing was sent: make it private in its "
                "settings, name another repository, or leave --private out"
            )
        present = {entry.rfilename for entry in head.siblings or []} if head else set()
        if present - OF_ANYBODY and mark not in present:
            some = ", ".join(sorted(present - OF_ANYBODY)[:3])
            raise ReleaseError(
                f"{self.place} holds something else ({some}) and no {mark}: it was left alone; name another repository"
            )
        if index is not None and mark in present:
            at_head = self.place._replace(revision=head.sha)
            if lost := read_index(str(at_head)).keys() - index.keys():
                raise ReleaseError(
                    f"{self.place} also lists {', '.join(sorted(lost))}, which would be lost: put them into the folder "
                    "that is pushed, or name another repository"
                )
        releases = [name.removesuffix(CARD_FILE) for name in files if name.endswith(CARD_FILE)]  # their folders, with /
        stale = {f"{release}{network}.safetensors" for release in releases for network in NETWORKS}
        stale &= present - files.keys()
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationAdd(path_in_repo=name, path_or_fileobj=file) for name, file in files.items()),
            *(CommitOperationDelete(path_in_repo=name) for name in sorted(stale)),
        ]
        with in_our_words(self.place):
            if head is None:
                self.api.create_repo(self.place.name, private=self.private or None, exist_ok=True)
            commit = self.api.create_commit(
                self.place.name, operations, commit_message=message, parent_commit=head.sha if head else None
            )
        return str(self.place._replace(revision=commit.oid))

    def _head(self) -> Any:
        """What the Hub says of the newest commit; None where there is no such repository."""
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        with in_our_words(self.place):
            try:
                return self.api.model_info(self.place.name)
            except GatedRepoError:
                raise
            except RepositoryNotFoundError:
                return None
