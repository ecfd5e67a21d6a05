"""Lines of code by room, of one checkout or of two: `python benchmarks/lines.py [BEFORE] [AFTER]`.

A line of code holds a token that is neither a comment nor part of a docstring. Files that moved are counted in the room
where they stand now: `git log --follow` is not asked, but the table of the move in PLACES.
"""

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parents[1]
LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)

#: Rooms of what stood elsewhere before the house was rebuilt, by the beginning of the path below zoo/; else its folder.
PLACES = {
    "nn": ("losses", "layers", "schedules", "techniques", "augment"),
    "runs": ("record", "schema", "study_record", "environment", "checkpoints", "spreads", "terminal"),
    "models": ("adversarial", "resume", "growing", "diagnostics", "runs.py"),
    "experiments": ("figures/", "measurement"),
    "training": (
        "cli", "options", "recipes", "refusals", "loggers", "report", "study.py", "callbacks/", "finetune/", "plan",
    ),
    "commands": (
        "reached", "pages", "papers", "diff", "sampling", "push", "pull", "evaluate/", "compare/", "assets/",
        "releases/command", "releases/picture", "releases/pretrain", "metrics/train_", "notebooks",
    ),
}  # fmt: skip


def code_lines(source: str) -> int:
    """Lines that hold code."""
    documentation: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            documentation |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            code |= set(range(token.start[0], token.end[0] + 1))
    return len(code - documentation)


def room_of(path: str) -> str:
    """The room of a file of zoo/, today's or that of before."""
    if "/" in path and path.partition("/")[0] in ("nn", "runs", "training", "commands", "experiments"):
        return path.partition("/")[0]
    for room, beginnings in PLACES.items():
        if path.startswith(beginnings):
            return room
    return path.partition("/")[0] if "/" in path else "the root"


def count(checkout: Path) -> tuple[Counter[str], Counter[str]]:
    """Lines of code, and files above 350 lines of any kind, by room; scripts, tests and benchmarks by their folder."""
    lines: Counter[str] = Counter()
    long: Counter[str] = Counter()
    for folder in ("zoo", "reproductions", "tests", "benchmarks"):
        for file in (checkout / folder).rglob("*.py"):
            text = file.read_text()
            room = f"zoo/{room_of(file.relative_to(checkout / 'zoo').as_posix())}" if folder == "zoo" else folder
            lines[room] += code_lines(text)
            long[room] += len(text.splitlines()) > 350
    lines["zoo, all"] = sum(n for room, n in lines.items() if room.startswith("zoo/"))
    long["zoo, all"] = sum(n for room, n in long.items() if room.startswith("zoo/"))
    return lines, long


def main() -> None:
    counted = [count(Path(folder)) for folder in sys.argv[1:3] or [str(HERE)]]
    print(f"{'room':<16}" + "".join(f"{'lines':>8}{'> 350':>7}" for _ in counted) + ("  change" if counted[1:] else ""))
    for room in sorted(set().union(*(lines for lines, _ in counted))):
        row = f"{room:<16}" + "".join(f"{lines[room]:>8,}{long[room]:>7}" for lines, long in counted)
        if counted[1:]:
            before, after = (lines[room] for lines, _ in counted)
            row += f"{after - before:>+8,}" + (f" ({after / before - 1:+.1%})" if before else "")
        print(row)


if __name__ == "__main__":
    main()
