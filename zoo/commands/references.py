"""The references of all papers, read out of the source of `zoo/models`: no model, and so no torch, is imported.

README's table of papers and the references of CITATION.cff are written from them by `zoo results --write`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from zoo.errors import ZooError
from zoo.nn.reference import Reference

MODELS = Path(__file__).parents[1] / "models"
BEGIN, END = "The papers (written by `python -m zoo results --write`)", "End of the papers"
TABLE = re.compile(rf"({re.escape(BEGIN)}[^\n]*\n).*?([^\n]*{re.escape(END)})", re.DOTALL)
CITED = re.compile(r"(?<=^references:\n).*", re.DOTALL | re.MULTILINE)


class Paper(NamedTuple):
    """A model of the zoo and its paper.

    Attributes:
        module: that its class lies in, like "zoo.models.gan".
        kind: name of the class.
        reference: of the class.
    """

    module: str
    kind: str
    reference: Reference


def papers() -> dict[str, Paper]:
    """The papers by name, in the order of the dict MODELS in `models`/__init__.py.

    Raises:
        ZooError: a model without a `reference`, or one whose entries are no plain values.
    """
    tree = ast.parse((MODELS / "__init__.py").read_text(encoding="utf-8"))
    imported = {
        name.name: str(node.module) for node in tree.body if isinstance(node, ast.ImportFrom) for name in node.names
    }
    found = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "MODELS":
            assert isinstance(node.value, ast.Dict)
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                assert isinstance(key, ast.Constant)
                kind = ast.unparse(value)
                source = MODELS / f"{imported[kind].rpartition('.')[2]}.py"
                found[str(key.value)] = Paper(imported[kind], kind, read_reference(source, kind=kind))
    return found


def read_reference(source: Path, *, kind: str) -> Reference:
    """The `reference` of a class, out of its source file."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and node.name == kind:
            for line in node.body:
                if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "reference":
                    assert isinstance(line.value, ast.Call)
                    try:
                        return Reference(**{str(k.arg): ast.literal_eval(k.value) for k in line.value.keywords})
                    except (TypeError, ValueError) as error:
                        raise ZooError(
                            f"{source}: the reference of {kind} must be Reference(...) with all its fields as plain "
                            f"values by keyword ({error})"
                        ) from error
    raise ZooError(f"{source}: {kind} has no `reference = Reference(...)`, see zoo/models/README.md")


def with_references(documents: Mapping[Path, str], root: Path) -> dict[Path, str]:
    """README with its table of papers and CITATION.cff with its references, beside the `documents` of a checkout.

    Raises:
        ZooError: a README without the two marker lines, or a CITATION.cff without references.
    """
    known, readme, cited = papers(), root / "README.md", root / "CITATION.cff"
    text = documents.get(readme) or readme.read_text(encoding="utf-8")
    if not TABLE.search(text):
        raise ZooError(f"{readme} lacks the lines {BEGIN!r} and {END!r}, between which the table of papers goes")
    return {
        **documents,
        readme: TABLE.sub(lambda match: match[1] + readme_table(known) + match[2], text),
        cited: with_citations(cited.read_text(encoding="utf-8"), known),
    }


def readme_table(known: Mapping[str, Paper]) -> str:
    """Markdown: each paper with its module, its script and its networks."""
    lines = ["| paper | module | script | networks |", "|---|---|---|---|"]
    for name, paper in known.items():
        where = f"{paper.reference.short}, [{paper.reference.arxiv}]({paper.reference.url})"
        lines.append(
            f"| {where} | `{paper.module}.{paper.kind}` | `reproductions/{name}.py` | {paper.reference.networks} |"
        )
    return "\n" + "\n".join(lines) + "\n\n"


def with_citations(text: str, known: Mapping[str, Paper]) -> str:
    """A CITATION.cff with an entry for each paper as its references, which stand last in it.

    Raises:
        ZooError: a text without references.
    """
    if not CITED.search(text):
        raise ZooError("CITATION.cff lacks the line 'references:', below which the papers go")
    return CITED.sub(lambda _: "".join(citation(paper.reference) for paper in known.values()), text)


def citation(paper: Reference) -> str:
    """The entry of a paper, in YAML; texts are quoted as JSON, which YAML reads."""
    lines = [
        f"  - type: {'conference-paper' if paper.venue else 'generic'}",
        f"    title: {quoted(paper.title)}",
        f"    year: {paper.year}",
        f"    collection-title: {quoted(paper.venue)}"
        if paper.venue
        else "    notes: arXiv preprint, not published in proceedings",
        f'    identifiers: [{{type: other, value: "arXiv:{paper.arxiv}"}}]',
        f"    url: {paper.url}",
        *([f"    repository-code: {paper.code}"] if paper.code else []),
        "    authors:",
    ]
    for author in paper.authors:
        family, _, given = author.partition(", ")
        lines.append(f"      - {{family-names: {quoted(family)}, given-names: {quoted(given)}}}")
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A text as a YAML scalar: plain where it can be."""
    return text if re.fullmatch(r"[A-Za-z][A-Za-z0-9 /-]*", text) else json.dumps(text, ensure_ascii=False)
