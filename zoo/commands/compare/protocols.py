"""Under which protocols figures were measured, and in what those protocols differ."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Protocol = Mapping[str, Any]


class Conflict(NamedTuple):
    """Why figures of one name may not be compared."""

    protocols: tuple[tuple[str, str], ...]  # hash, and the runs measured under it
    difference: str


def groups_of(protocols: Sequence[Protocol | None]) -> list[int]:
    """A number for each protocol, equal where its content is; -1 where there is none."""
    texts = [None if p is None else json.dumps(p, sort_keys=True) for p in protocols]
    order = list(dict.fromkeys(text for text in texts if text is not None))
    return [-1 if text is None else order.index(text) for text in texts]


def conflict(protocols: Sequence[Protocol | None], hashes: Sequence[str], labels: Sequence[str]) -> Conflict | None:
    """The conflict among the figures of one measure, or None; figures without a protocol are passed over.

    Args:
        protocols: of each figure.
        hashes: of each protocol.
        labels: of each figure's run.
    """
    groups = groups_of(protocols)
    firsts = [groups.index(group) for group in sorted(set(groups) - {-1})]
    if len(firsts) < 2:
        return None
    members = [", ".join(label for label, g in zip(labels, groups, strict=True) if g == groups[i]) for i in firsts]
    fields = differing_fields([protocols[i] or {} for i in firsts])
    return Conflict(tuple(zip((hashes[i] for i in firsts), members, strict=True)), difference(fields))


def differing_fields(protocols: Sequence[Protocol]) -> dict[str, list[str]]:
    """Fields that are not the same in all protocols, and their values."""
    names = dict.fromkeys(name for protocol in protocols for name in protocol)
    different = [n for n in names if len({json.dumps(p.get(n), sort_keys=True) for p in protocols}) > 1]
    return {name: [short(p[name]) if name in p else "absent" for p in protocols] for name in different}


def difference(fields: Mapping[str, Sequence[str]]) -> str:
    """ "They differ in n_fake (2000 / 5000), ...", values in the order of the protocols."""
    return "They differ in " + ", ".join(f"{name} ({' / '.join(values)})" for name, values in fields.items())


def short(value: Any) -> str:
    """A protocol's value; hashes cut to eight digits, long texts to forty letters."""
    text = str(value)
    return text[:8] if len(text) == 64 and " " not in text else text if len(text) <= 40 else text[:37] + "..."
