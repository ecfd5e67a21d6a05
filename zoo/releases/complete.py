"""`zoo verify --complete`: a card whose figures hold is given those that it lacks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from zoo.errors import ReleaseError
from zoo.experiments.suite import Measurement
from zoo.metrics.features import sha256_of
from zoo.models import MODELS
from zoo.releases.card import CARD_FILE, INDEX_FILE, write_card
from zoo.releases.claims import measure, open_data, settings_for, settings_of
from zoo.releases.find import add_to_index, one_at_a_time, own_address, read_index
from zoo.releases.readme import README_FILE, readme_of
from zoo.releases.release import Release
from zoo.releases.verify import Claim, compared
from zoo.runs.folder import write_atomically


def complete(release: Release, *, data_dir: str | None) -> Iterator[Claim]:
    """Takes the figures again, with the networks that an export would use today, and adds what the card lacks.

    The figures that it has are compared, and stay as they are; where one fails, nothing is written.

    Args:
        release: one that lies where it was exported, in a folder with an index.
        data_dir: where its data set lies; None takes ZOO_DATA, else ./data.

    Raises:
        ReleaseError: a copy, or files or data that are not the card's.
        DataNotFoundError: the data set does not lie there.
    """
    card, out = release.card, release.folder.parent
    listed = (out / INDEX_FILE).is_file() and read_index(str(out)).get(release.folder.name)
    if listed != sha256_of(release.folder / CARD_FILE):
        raise ReleaseError(
            f"{release.folder} is not listed by an index beside it ({out / INDEX_FILE}): complete a release where it "
            "was exported"
        )
    release.check_files()
    data = open_data(card["data"], data_dir)
    settings, usual = settings_of(card["evaluation"]), settings_for(data).extractors or []
    settings = dataclasses.replace(settings, extractors=list(dict.fromkeys([*usual, *(settings.extractors or usual)])))
    taken = measure(release.module(), data, settings)
    claims = list(compared(card, taken))
    yield from claims
    new = [name for name in taken.hashes if name not in card["protocols"]]
    if not new or any(claim.verdict == "fails" for claim in claims):
        return
    with one_at_a_time(out):
        content = (
            card | completed(card, taken) | {"evaluation": {**card["evaluation"], "extractors": settings.extractors}}
        )
        write_card(release.folder, content)
        readme = readme_of(content, MODELS[card["paper"]].reference, address=own_address(release.folder))
        write_atomically(release.folder / README_FILE, readme)
        add_to_index(out, release.folder.name)
    for name in new:
        yield Claim(f"{name} {taken.latest[name]:.6g}", "added")


def completed(card: dict[str, Any], taken: Measurement) -> dict[str, Any]:
    """The card's entries of figures, with those that it lacks, in the order in which they are taken."""
    figures = {name: card["figures"].get(name, value) for name, value in taken.latest.items()}
    protocols = {name: card["protocols"].get(name, value) for name, value in taken.hashes.items()}
    texts = {**taken.protocols, **card["protocol_texts"]}
    return {
        "figures": {**figures, **card["figures"]},
        "protocols": {**protocols, **card["protocols"]},
        "protocol_texts": {key: texts[key] for key in dict.fromkeys(protocols.values())},
    }
