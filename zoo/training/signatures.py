"""Constructors' arguments with their defaults and help, out of the source: nothing is imported, so it takes no time."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]


class Argument(NamedTuple):
    """An argument of a constructor, or a field of a dataclass.

    Attributes:
        name: of it.
        default: as the source has it; "" where it has none.
        help: the first words of its documentation.
    """

    name: str
    default: str
    help: str


def arguments_of(kind: str) -> list[Argument]:
    """The keyword arguments of a class, its own and where it takes `**base` those of its base class.

    Args:
        kind: "zoo.models.dcgan.DCGAN" or a name that a package of zoo hands on, like "zoo.data.MNIST". [] where its
            source is not found.
    """
    found: dict[str, Argument] = {}
    for node in family(kind):
        meanings = documented(ast.get_docstring(node) or "")
        new = {argument.name: argument for argument in fields(node)}
        constructor = next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
        if constructor is not None:
            own = zip(constructor.args.kwonlyargs, constructor.args.kw_defaults, strict=True)
            new = {a.arg: Argument(a.arg, ast.unparse(d) if d else "", meanings.get(a.arg, "")) for a, d in own}
        found = {**new, **{n: a._replace(help=a.help or meanings.get(n, "")) for n, a in found.items()}} | {
            name: argument._replace(help=found[name].help or argument.help)
            for name, argument in new.items()
            if name in found
        }
        if constructor is not None and constructor.args.kwarg is None:
            break
    return list(found.values())


def family(kind: str) -> Iterator[ast.ClassDef]:
    """A class and its first base classes, as far as the source is found."""
    module, _, name = kind.rpartition(".")
    while name and (place := definition(module, name)) is not None:
        module, node = place
        yield node
        name = ast.unparse(node.bases[0]).rpartition(".")[2] if node.bases else ""


def definition(module: str, name: str) -> tuple[str, ast.ClassDef] | None:
    """The class that a module calls `name`, and the module that defines it."""
    tree = parsed(module)
    for node in tree.body if tree else ():
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names):
            return definition(node.module or "", name)
    return None


@cache
def parsed(module: str) -> ast.Module | None:
    """A module's source; of modules outside zoo only those that are imported already."""
    first, *rest = module.split(".")
    place = PACKAGE.joinpath(*rest)
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    if first != PACKAGE.name or not file.is_file():
        file = Path(getattr(sys.modules.get(module), "__file__", None) or "")
    return ast.parse(file.read_text(encoding="utf-8")) if file.is_file() else None


def fields(node: ast.ClassDef) -> Iterator[Argument]:
    """The fields of a dataclass, each documented by the text below it."""
    if not any(ast.unparse(decorator).startswith("dataclass") for decorator in node.decorator_list):
        return
    for line, below in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(line, ast.AnnAssign):
            text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
            yield Argument(ast.unparse(line.target), ast.unparse(line.value) if line.value else "", one_line(str(text)))


def documented(text: str) -> dict[str, str]:
    """{name: text} of a docstring's "Args:"."""
    found: dict[str, str] = {}
    name = ""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n(?=[ \t]))+)", text, re.MULTILINE)
    for line in textwrap.dedent(section[1]).splitlines() if section else ():
        if line and not line.startswith(" "):
            name, _, rest = line.partition(":")
            found[name] = rest.strip()
        elif name:
            found[name] += " " + line.strip()
    return found


def one_line(text: str) -> str:
    """A text without its line breaks."""
    return " ".join(text.split())


def model_of(paper: str) -> str:
    """The class that `zoo.models` has for a paper, or beside the papers, with its module; "" where it has none."""
    kind = {**entries("zoo.models", "MODELS"), **entries("zoo.models", "BESIDE")}.get(paper)
    return f"zoo.models.{kind}" if kind else ""


def entries(module: str, name: str) -> dict[str, str]:
    """The keys of a dict that a module defines by that name, and what the source has for their values."""
    tree = parsed(module)
    for node in tree.body if tree else ():
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name and isinstance(node.value, ast.Dict):
            pairs = zip(node.value.keys, node.value.values, strict=True)
            return {ast.literal_eval(key): ast.unparse(value) for key, value in pairs if key is not None}
    return {}
