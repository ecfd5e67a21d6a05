"""What the tests of the written pages read: documents, their code blocks, commands, links and tables."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "zoo/models/README.md", *PAGES]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language ("" for commands) and its text."""

    language: str
    text: str


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a document."""
    return [Block(*match) for match in FENCE.findall(text)]


def named_blocks(text: str) -> dict[str, str]:
    """The blocks that stand below a line with nothing but a file's name in bold, by that name."""
    return dict(re.findall(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


def prose(text: str) -> str:
    """A document without its blocks and code spans."""
    return re.sub(r"`[^`\n]+`", "", FENCE.sub("", text))


def spans(text: str) -> list[str]:
    """The code spans of a document, blocks aside."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def commands(text: str) -> list[str]:
    """The command lines of a document's blocks, without comments."""
    shell = [block.text for block in blocks(text) if block.language in ("", "bash", "console")]
    plain = (re.sub(r"\s+#.*$", "", line).removeprefix("$ ").strip() for line in "".join(shell).split("\n"))
    return [line for line in plain if line and not line.startswith("#")]


def mentions(text: str) -> list[str]:
    """Commands that are named in running text, some of them without what they need."""
    return [span for span in spans(text) if re.match(r"(python (reproductions/|-m zoo )|make )\S+", span)]


def links(text: str) -> list[str]:
    """The targets of links and pictures that stay within the repository."""
    text = prose(text)
    found = re.findall(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ +(.*?) *$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def markdown_of(notebook: Path) -> str:
    """The Markdown cells of a notebook."""
    cells = json.loads(notebook.read_text())["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a document: rows of cells, the line of dashes left out."""
    found, rows = [], []
    for line in [*FENCE.sub("", text).split("\n"), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]])
        elif rows:
            found.append([rows[0], *rows[2:]])
            rows = []
    return found


def section(text: str, title: str) -> str:
    """What stands below a heading of the second level."""
    return next((part for part in re.split(r"^## ", text, flags=re.MULTILINE) if part.startswith(title + "\n")), "")


def text_of(file: str) -> str:
    """A file in one line."""
    return " ".join((ROOT / file).read_text().split())


def record(name: str) -> Any:
    """A committed record, of a run or of a study."""
    return json.loads((ROOT / f"reproductions/records/{name}.json").read_text())


def last_values(study: str, beginning: str) -> list[dict[str, float]]:
    """What `test` found at the end of the members whose names begin so."""
    members = [member for name, member in record(study)["records"].items() if name.startswith(beginning)]
    tests = [[test["values"] for test in m["tests"] if test["checkpoint"] == "last.ckpt"] for m in members]
    return [{name: value for values in of_last for name, value in values.items()} for of_last in tests]


def between(values: list[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"
