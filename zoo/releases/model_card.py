"""README.md of a release at the Hugging Face Hub: metadata in YAML, made of the card, then what every release says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.experiments.measures import MEASURES
from zoo.models import MODELS
from zoo.releases.card import described, figures_line
from zoo.releases.hub import LIBRARY, Repository
from zoo.releases.readme import readme_of

TASK = "unconditional-image-generation"


def model_card(card: Mapping[str, Any], place: Repository, *, licence: str | None = None) -> str:
    """The README of the release with this card, at that place, under a licence that the Hub has a name for.

    The figures stand in its `model-index` (github.com/huggingface/hub-docs, modelcard.md), each with its protocol.
    """
    from huggingface_hub import ModelCardData

    reference = MODELS[card["paper"]].reference
    metadata = ModelCardData(
        license=licence,
        library_name=LIBRARY,
        pipeline_tag=TASK,
        tags=["gan", card["paper"], "image-generation", "pytorch", f"arxiv:{reference.arxiv}"],
        metrics=list(card["protocols"]),
        model_name=card["name"],
        eval_results=results(card),
    )
    return f"---\n{metadata.to_yaml()}\n---\n\n{readme_of(card, reference, address=str(place))}"


def results(card: Mapping[str, Any]) -> list[Any]:
    """The figures as `huggingface_hub.EvalResult`s, errors and protocols among the arguments of each."""
    from huggingface_hub import EvalResult

    data, found = card["data"], []
    for name, key in card["protocols"].items():
        protocol, measure = card["protocol_texts"][key], MEASURES.find(name)
        error = MEASURES.error(name, card["figures"])
        found.append(
            EvalResult(
                task_type=TASK,
                dataset_type=data["class"].lower(),
                dataset_name=data["name"],
                dataset_split=protocol.get("split"),
                dataset_args={"images": data["images"], "fingerprint": data["fingerprint"]},
                metric_type=name,
                metric_name=measure.measure.title if measure else name,
                metric_value=card["figures"][name],
                metric_args={"protocol": key, **protocol} | ({} if error is None else {"error": error}),
            )
        )
    return found


def collection_card(cards: Sequence[Mapping[str, Any]], place: Repository, *, licence: str | None = None) -> str:
    """The README of a repository that holds several releases, each in a folder of its own."""
    from huggingface_hub import ModelCardData

    papers = sorted({card["paper"] for card in cards})
    metadata = ModelCardData(
        license=licence, library_name=LIBRARY, pipeline_tag=TASK, tags=["gan", *papers, "image-generation", "pytorch"]
    )
    rows = [
        f"| [{card['name']}]({card['name']}/card.json) | {described(card)} | {card['data']['name']} (licence: "
        f"{card['data']['licence']}) | {figures_line(card)} |\n| ![]({card['name']}/grid.png) | | | |"
        for card in cards
    ]
    return f"""---
{metadata.to_yaml()}
---

# {len(cards)} trained GANs

| release | what | data | figures |
|---|---|---|---|
{chr(10).join(rows)}

```
export ZOO_RELEASES={place}
python -m zoo releases
python -m zoo sample {cards[0]["name"]}
```
"""
