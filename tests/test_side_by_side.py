"""The releases of a data set in one table."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from pages import tables

from zoo.commands.results.side_by_side import side_by_side, table
from zoo.releases.card import read_card
from zoo.releases.find import SHIPPED, list_pretrained


def card_of(name: str, **changes: Any) -> dict[str, Any]:
    return {**read_card(SHIPPED / name), **changes}


def test_all_releases_stand_there_with_what_their_cards_say() -> None:
    found = tables(side_by_side(SHIPPED))
    rows = {row[0].partition("]")[0][1:]: dict(zip(head, row, strict=True)) for head, *lines in found for row in lines}
    assert sorted(rows) == sorted(list_pretrained())
    for name, row in rows.items():
        card = read_card(SHIPPED / name)
        for measure in (measure for measure in row if measure in card["figures"]):
            assert float(row[measure].split(" ")[0]) == float(f"{card['figures'][measure]:.4g}")
        assert row["images"] == f"{card['training']['images_seen']:,}"
    for head, *lines in found:
        assert all(any(line[i] for line in lines) for i in range(len(head))), head  # no column without a value


def test_a_release_of_an_earlier_checkpoint_says_what_the_end_had() -> None:
    head, rows = table([card_of("gan.celeba64"), card_of("stylegan.celeba64")])
    gan, stylegan = (dict(zip(head, row, strict=True)) for row in rows)
    ended = card_of("gan.celeba64")["training"]["tests"]["last"]["fd_efficientnet10k"]
    assert gan["at the end"] == f"{ended:.4g}" != gan["fd_efficientnet10k"]
    assert (gan["images"], gan["of"]) == ("1,000,000", "1,500,000")
    assert stylegan["at the end"] == ""
    assert stylegan["images"] == stylegan["of"]
    ema = read_card(SHIPPED / "stylegan.celeba64")["files"]["G_ema"]
    assert stylegan["numbers in G"] == f"{ema['parameters']:,}"


@pytest.mark.parametrize(("card", "shown"), [("1 cores of X", "1 core of X"), ("11 cores of X", "11 cores of X")])
def test_one_core_is_no_cores(card: str, shown: str) -> None:
    release = card_of("dcgan.mnist")
    head, (row,) = table([{**release, "training": {**release["training"], "hardware": card}}])
    assert row[head.index("hardware")] == shown


def test_what_a_card_lacks_is_empty_and_what_all_lack_is_no_column() -> None:
    whole = card_of("gan.celeba64")
    without = {key: {n: v for n, v in whole[key].items() if "precision" not in n} for key in ("figures", "protocols")}
    head, (first, second) = table([{**whole, **without}, whole])
    at = head.index("precision_efficientnet10k")
    assert (first[at], float(second[at])) == ("", float(f"{whole['figures']['precision_efficientnet10k']:.4g}"))
    head, _ = table([{**whole, **without}])
    assert "precision_efficientnet10k" not in head
    assert "recall_efficientnet10k" in head


def test_where_there_are_no_releases_there_is_no_section(tmp_path: Path) -> None:
    assert side_by_side(tmp_path) == ""
    shutil.copytree(SHIPPED / "dcgan.mnist", tmp_path / "dcgan.mnist")
    assert "CIFAR-10:" not in side_by_side(tmp_path)
