"""What the command line's parser refuses, said in one line instead of its usage, with the nearest name there is."""

import difflib
import inspect
import pydoc
import re
from collections.abc import Iterable, Sequence

from zoo.training.trainer import refuse_callback

#: How the parser writes a type, and how the message does.
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list": "a list as in '[a,b]'",
}
#: How the parser's own lines begin.
OF_THE_PARSER = ("Expected a ", "Does not validate ", "Not a valid subclass of ", "a class path ", "a dict ")


def refusal(message: str, *, options: Iterable[str], data_sets: Sequence[str]) -> str:
    """The parser's message in one line; as it is, where it says something that is not known here.

    Args:
        message: of `argparse.ArgumentError`, as jsonargparse words it.
        options: all that the subcommand has, with their dashes.
        data_sets: names that --data takes.

    Raises:
        UsageError: a callback that can never have its effect, whatever it lacks beside.
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
    option = "--" + ".".join(dict.fromkeys(keys))  # of one value or of several: the parser tries both
    if stray := re.search(r"given class_path '([^']+)':\s*Option '([^']+)' is not accepted", message):
        classes = inspect.getmro(pydoc.locate(stray[1]))  # type: ignore[arg-type]
        own = [known for kind in classes if "__init__" in vars(kind) for known in inspect.signature(kind).parameters]
        name = f"{option}.{stray[2]}"
        return f"unknown option {name} of {stray[1]}{nearest(name, [f'{option}.{known}' for known in own])}"
    if lacking := re.search(r"given class_path '([^']+)':\s*the following arguments are required: (.+)", message):
        kind, names = lacking[1], lacking[2].split(", ")
        refuse_callback({"class_path": kind})
        return f"{option} {kind} needs {' and '.join(f'{option}.{name}' for name in names)}"
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


def reason(message: str) -> str:
    """What kept the parser from making an object, in one line; "" where its message says nothing of one.

    Its own lines, about what a value is not (of a list, say, that it is no single logger), are left out.
    """
    if unwritable := re.search(r"class_path='([\w.]+)'.*?(\w+)=(<\w+\.\w+: (\S+)>)", message):
        kind, name, value, text = unwritable.groups()  # as the parser fails on by itself
        option = "--trainer.logger" if "loggers.logger.Logger" in message else "--trainer.callbacks"
        return (
            f"{kind}: its {name}, by default {value}, has to be given as text, as in "
            f"{option}.{name}={text.strip(chr(39))}"
        )
    if failed := re.search(r"given class_path '([^']+)':\s*(.+)", message):
        return f"{failed[1]}: {failed[2]}"
    said = re.search(rf"^ *- (?!{'|'.join(OF_THE_PARSER)})(.+)", message, re.MULTILINE)
    return said[1] if said else ""


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
