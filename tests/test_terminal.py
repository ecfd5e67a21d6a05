"""What commands print."""

import subprocess
import sys
import warnings

from zoo.runs.text import plain_warnings

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
