"""What commands print."""

import subprocess
import sys
import warnings

import pytest

from zoo.runs.text import lined_up, plain_warnings, print_table

CODE = """
import warnings
from zoo.runs.text import plain_warnings
with plain_warnings():
    warnings.warn("few samples", stacklevel=1)
"""


def test_a_warning_is_one_line_inside_and_as_before_outside() -> None:
    before = warnings.formatwarning
    with plain_warnings():
        assert warnings.formatwarning is not before
    assert warnings.formatwarning is before
    said = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert said.stderr == "warning: few samples\n"


ROWS = [["run", "fid5k", "note", "last"], ["a", "4.2 +/- 0.1", "x", ""], ["longer", "1,234", "yy", "not finite"]]


def test_one_printer_writes_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    by_kind = ["run           fid5k  note        last", "a       4.2 +/- 0.1  x"]
    by_kind += ["longer        1,234  yy    not finite"]
    assert lined_up(ROWS).split("\n") == by_kind
    to_the_left = ["run     fid5k        note  last", "a       4.2 +/- 0.1  x", "longer  1,234        yy    not finite"]
    assert lined_up(ROWS, right=(), indent="    ").split("\n") == [f"    {line}" for line in to_the_left]
    print_table(ROWS[0], ROWS[2:])
    assert capsys.readouterr().out == "run     fid5k  note        last\nlonger  1,234    yy  not finite\n"
