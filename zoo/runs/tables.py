"""A table in the forms that papers and pages take: Markdown, LaTeX with booktabs, CSV. No torch."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from zoo.runs.text import is_number, printable

Rows = Sequence[Sequence[str]]

#: What LaTeX would obey, and how it is written there.
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    '"': r"\textquotedbl{}",
    "+/-": r"$\pm$",
    **{letter: rf"\{letter}" for letter in "&%$#_{}"},
}
#: What Markdown would obey: of _ those at an end of a word, of & those that begin a letter's name.
MARKDOWN = re.compile(r"[\\|<`*\[~$]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])")
FONT = "\u0180"  # from this letter on, a document of LaTeX needs a font of its own
NO_FONT = "\u0126\u0127\u0138\u013f\u0140\u0149\u0166\u0167\u017f"  # before it: H, h, T and t with bars, and the like
PREAMBLE = r"% \usepackage[T1]{fontenc}, \usepackage{booktabs} and \usepackage{graphicx} in the document's head"
#: A table wider than a line is made as narrow as one; others keep their size.
FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"


@dataclass(frozen=True)
class Table:
    """A table with what one has to know to read it."""

    title: str
    note: str
    head: Sequence[str]
    rows: Rows


def markdown(head: Sequence[str], rows: Rows) -> str:
    """A Markdown table."""
    return "".join("| " + " | ".join(line) + " |\n" for line in (head, ["---"] * len(head), *rows))


def in_markdown(table: Table, *, level: int = 3) -> str:
    """A table under its heading, its note below; its cells may hold Markdown."""
    note = f"\n{table.note}" if table.note else ""
    return f"{'#' * level} {table.title}\n\n{markdown(table.head, table.rows)}{note}"


def plain_in_markdown(text: str) -> str:
    """A text that Markdown shows as it is, in a cell too."""
    return MARKDOWN.sub(r"\\\g<0>", printable(text, keep=""))


def as_csv(head: Sequence[str], rows: Rows) -> str:
    """Comma-separated values by RFC 4180, with line feeds."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


def in_latex(table: Table) -> str:
    """A `table` of LaTeX with its title and note as caption; see PREAMBLE for what the document loads."""
    caption = escaped(table.title + (f". {table.note}" if table.note else ""))
    lines = [r"\begin{table}", r"\centering\footnotesize", rf"\caption{{{caption}}}"]
    return "\n".join([*lines, FITTED, as_latex(table.head, table.rows) + "}", r"\end{table}"]) + "\n"


def as_latex(head: Sequence[str], rows: Rows) -> str:
    """A tabular of the package booktabs, columns of numbers to the right."""
    right = [all(is_number(row[i]) for row in rows) for i in range(len(head))]
    columns = "".join("r" if numeric else "l" for numeric in right)
    lines = [" & ".join(map(escaped, line)) + r" \\" for line in (head, *rows)]
    lines = ["{}" + line if line[0] in "[*" else line for line in lines]  # behind \\ these would be its options
    body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"]) + "\n"


def escaped(text: str) -> str:
    """A cell's text for LaTeX: +/- becomes its sign, all else is shown as it is; letters without a font as U+4E2D."""
    parts = re.findall(r"\+/-|.", printable(text, keep=""))
    plain = {part: part if part < FONT and part not in NO_FONT else f"U+{ord(part[0]):04X}" for part in parts}
    found = "".join(LATEX.get(part, plain[part]) for part in parts)
    return re.sub(r"([-,])(?=\1)", r"\1{}", found)  # two would become a dash, or a quotation mark
