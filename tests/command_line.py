"""Papers' command lines as a test calls them."""

import pytest

from zoo.__main__ import parser
from zoo.training import reproduce
from zoo.training.scripts import script_of


def zoo(paper: str, *arguments: str) -> None:
    """As `python reproductions/<paper>.py ARGUMENTS`."""
    reproduce(paper, script_of(paper).recipes, arguments=list(arguments))


def run(*arguments: object) -> None:
    """As `zoo ARGUMENTS`, in this process; errors come as they are raised."""
    command = parser(str(arguments[0])).parse_args([str(a) for a in arguments])
    command.run(command)


def refused(capsys: pytest.CaptureFixture[str], paper: str, *arguments: str) -> str:
    """What a command that must fail prints as its one error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        zoo(paper, *arguments)
    captured = capsys.readouterr()
    assert stop.value.code == 1
    assert captured.err.count("error:") == 1
    assert "Traceback" not in captured.err
    return captured.err
