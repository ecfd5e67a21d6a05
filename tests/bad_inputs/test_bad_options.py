"""Options of `fit` and of the commands: one line that names the option, and nothing made."""

from pathlib import Path

import pytest
from bad_inputs.options import COMMANDS, FIT, MODELS
from bad_inputs.trial import attempt, one_clear_line

pytestmark = pytest.mark.slow
CASES = [*((["fit", *words], names) for words, names in (*MODELS, *FIT)), *COMMANDS]


@pytest.mark.parametrize(("words", "names"), CASES, ids=[" ".join(words)[:60] for words, _ in CASES])
def test_an_option(words: list[str], names: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = attempt(words, folder=tmp_path, capsys=capsys)
    one_clear_line(outcome, names)
