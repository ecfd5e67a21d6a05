"""Tables that the benchmarks write into the pages of docs."""

from collections.abc import Sequence
from pathlib import Path


def write_between(page: Path, lines: Sequence[str], *, begin: str, end: str) -> None:
    """Puts lines of Markdown between two marks of a page, in the place of what stands there."""
    before, rest = page.read_text(encoding="utf-8").split(begin)
    after = rest.split(end)[1]
    table = "\n".join(lines).strip("\n")
    page.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}", encoding="utf-8")
