"""A table in the forms that papers and pages take: Markdown, LaTeX with booktabs, CSV. No torch."""

import csv
import io
import re
from collections.abc import Sequence

from zoo.runs.text import is_number

Rows = Sequence[Sequence[str]]

#: What LaTeX would obey, and how it is written there.
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{letter: rf"\{letter}" for letter in "&%$#_{}"},
}


def markdown(head: Sequence[str], rows: Rows) -> str:
    """A Markdown table."""
    return "".join("| " + " | ".join(line) + " |\n" for line in (head, ["---"] * len(head), *rows))


def as_csv(head: Sequence[str], rows: Rows) -> str:
    """Comma-separated values by RFC 4180, with line feeds."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


def as_latex(head: Sequence[str], rows: Rows) -> str:
    """A tabular of the package booktabs, columns of numbers to the right; it stands in any document that loads that."""
    right = [all(is_number(row[i]) for row in rows) for i in range(len(head))]
    columns = "".join("r" if numeric else "l" for numeric in right)
    lines = [" & ".join(map(escaped, line)) + r" \\" for line in (head, *rows)]
    body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"]) + "\n"


def escaped(text: str) -> str:
    """A cell's text for LaTeX: +/- becomes its sign, all else is shown as it is."""
    parts = ("".join(LATEX.get(letter, letter) for letter in part) for part in re.split(r"\+/-", text))
    return r"$\pm$".join(parts)
