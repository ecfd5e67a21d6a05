"""What the command line's parser refuses, said in one line instead of its usage, with the nearest name there is."""

import difflib
import inspect
import pydoc
import re
from collections.abc import Iterable, Sequence

#: How the parser writes a type, and how the message does.
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list": "a list as in '[a,b]'",
}


def refusal(message: str, *, options: Iterable[str], data_sets: Sequence[str]) -> str:
    """The parser's message in one line; as it is, where it says something that is not known here.

    Args:
        message: of `argparse.ArgumentError`, as jsonargparse words it.
        options: all that the subcommand has, with their dashes.
        data_sets: names that --data takes.
    """
    if unknown := re.search(r"^unrecognized arguments: (\S+)", message):
        name = unknown[1].split("=")[0]
        return (
            f"unknown option {name}{nearest(name, options)}"
            if name.startswith("-")
            else f"{name!r} belongs to no option"
        )
    if stray := re.search(r"^(?:Subcommand|Parser) .*does not accept option '([^']+)'", message):
        return f"unknown option --{stray[1]}{nearest('--' + stray[1], options)}"
    keys = re.findall(r'Parser key "([^"]+)"', message)
    option = "--" + ".".join(keys)
    if stray := re.search(r"given class_path '([^']+)':\s*Option '([^']+)' is not accepted", message):
        classes = inspect.getmro(pydoc.locate(stray[1]))  # type: ignore[arg-type]
        own = [known for kind in classes if "__init__" in vars(kind) for known in inspect.signature(kind).parameters]
        name = f"{option}.{stray[2]}"
        return f"unknown option {name} of {stray[1]}{nearest(name, [f'{option}.{known}' for known in own])}"
    given = next((value for value in values(message) if not value.startswith("NestedArg")), None)
    if keys == ["data"] and given is not None:
        return f"unknown data set {given!r} in --data: there are {', '.join(data_sets)}"
    if keys and (found := no_class(message)):
        return f"{option} takes a class by its import path, package.module.Class: {found}"
    kinds = expected(message)
    if not keys or not kinds or given is None:
        return " ".join(message.split())
    none = " (nothing is written null)" if given.lower() == "none" and "NoneType" in message else ""
    return f"{option} must be {' or '.join(kinds)}, not {given!r}{none}"


def no_class(message: str) -> str:
    """Why what was given is not the class that is asked for; "" where the message is about something else."""
    if module := re.search(r"module '([^']+)' has no attribute '([^']+)'", message):
        return f"{module[1]} has no {module[2]}"
    if missing := re.search(r"No module named '([^']+)'", message):
        return f"there is no module {missing[1]}"
    if other := re.search(r"Import path does not correspond to a subclass of (\w+)", message):
        return f"{values(message)[0]} is no {other[1]}"
    if path := re.search(r"Expected a dot import path string: (\S+)", message):
        return f"{path[1]!r} is none"
    return ""


def nearest(name: str, options: Iterable[str]) -> str:
    """A suggestion, or nothing."""
    near = difflib.get_close_matches(name, list(options), n=1)
    return f": did you mean {near[0]}?" if near else ""


def values(message: str) -> list[str]:
    """What was given, innermost first."""
    return re.findall(r"(?:Given|Got) value: (.+)", message)


def expected(message: str) -> list[str]:
    """The types that would have been taken, None left out."""
    found = re.findall(r"Expected a (<class '\w+'>|typing\.Literal\[.+?\])", message)
    kinds = [
        f"one of {kind.removeprefix('typing.Literal[').rstrip(']')}" if "Literal" in kind else kind.split("'")[1]
        for kind in found
    ]
    return [KINDS.get(kind, kind) for kind in dict.fromkeys(kinds) if kind != "NoneType"]
