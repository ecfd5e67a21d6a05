"""Checks of plain JSON values: a value is checked by a function (field, value), or by a nested dict of them.

Every failure is a RecordError that names the field. No torch at import.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from zoo.errors import RecordError

Check = Callable[[str, Any], None]

LARGEST = 2**63 - 1  # of whole numbers


def require(condition: bool, *, field: str, wants: str, value: Any) -> None:
    """Raises RecordError unless `condition`."""
    if not condition:
        shown = repr(value) if not isinstance(value, int) or abs(value) < 10**80 else "a number of too many digits"
        raise RecordError(f"{field} must be {wants}, it is {shown if len(shown) <= 80 else shown[:77] + '...'}")


def text(field: str, value: Any) -> None:
    """A non-empty text."""
    require(isinstance(value, str) and value != "", field=field, wants="a non-empty text", value=value)


def string(field: str, value: Any) -> None:
    """A text, which may be empty."""
    require(isinstance(value, str), field=field, wants="a text", value=value)


def integer(field: str, value: Any) -> None:
    """An integer of 64 bits."""
    require(type(value) is int and abs(value) < 2**63, field=field, wants="an integer", value=value)


def count(field: str, value: Any) -> None:
    """An integer of 0 or more."""
    require(type(value) is int and 0 <= value < 2**63, field=field, wants="an integer of 0 or more", value=value)


def number(field: str, value: Any) -> None:
    """A finite number."""
    require(
        (type(value) is float and math.isfinite(value)) or (type(value) is int and abs(value) <= LARGEST),
        field=field,
        wants="a finite number",
        value=value,
    )


def amount(field: str, value: Any) -> None:
    """A finite number of 0 or more."""
    number(field, value)
    require(value >= 0, field=field, wants="0 or more", value=value)


def time(field: str, value: Any) -> None:
    """An ISO time with its offset from UTC."""
    wants = "an ISO time with its offset from UTC, like 2025-01-31T12:00:00+00:00"
    text(field, value)
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        parsed = datetime.min  # without an offset: refused below
    require(parsed.utcoffset() is not None, field=field, wants=wants, value=value)


def commit(field: str, value: Any) -> None:
    """A full git hash, with "+dirty" or not."""
    fits = isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40,64}(\+dirty)?", value) is not None
    require(fits, field=field, wants="a full git hash, with '+dirty' or not", value=value)


def or_null(check_value: Check) -> Check:
    """`check_value`, or None."""

    def checked(field: str, value: Any) -> None:
        if value is not None:
            check_value(field, value)

    return checked


def list_of(check_item: Check) -> Check:
    """A list whose items pass `check_item`."""

    def checked(field: str, value: Any) -> None:
        require(isinstance(value, list), field=field, wants="a list", value=value)
        for index, item in enumerate(value):
            check_item(f"{field}[{index}]", item)

    return checked


def map_of(schema: Mapping[str, Any] | Check) -> Check:
    """An object whose names are texts and whose values fit `schema`."""

    def checked(field: str, value: Any) -> None:
        require(isinstance(value, dict), field=field, wants="an object", value=value)
        for name, item in value.items():
            text(f"a name in {field}", name)
            check(f"{field}.{name}", item, schema=schema)

    return checked


def check(field: str, value: Any, *, schema: Mapping[str, Any] | Check) -> None:
    """Checks `value` against a function, or field by field against a dict: none missing, none unknown."""
    if callable(schema):
        schema(field, value)
        return
    require(isinstance(value, dict), field=field or "the record", wants="an object", value=value)
    prefix = f"{field}." if field else ""
    for name in schema.keys() - value.keys():
        raise RecordError(f"{prefix}{name} is missing")
    for name in value.keys() - schema.keys():
        raise RecordError(f"{prefix}{name} is no field of the record; known are {', '.join(sorted(schema))}")
    for name, part in schema.items():
        check(f"{prefix}{name}", value[name], schema=part)


def json_object(field: str, value: Any) -> None:
    """An object that JSON can hold, without nan."""
    require(isinstance(value, dict), field=field, wants="an object", value=value)
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordError(f"{field} must hold plain JSON values: {error}") from error
