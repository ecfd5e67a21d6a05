"""Releases at a URL: fetched once, each file checked before it is kept, complete or not there at all."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from typing import ClassVar

import pytest

import zoo
from zoo.errors import ReleaseError
from zoo.releases.find import download, release_folder

NAME = "dcgan.digits"


class Quiet(http.server.SimpleHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def log_message(self, *arguments):
        self.asked.append(self.path)


@pytest.fixture
def served(released, tmp_path, monkeypatch):
    """A copy of the releases behind HTTP, and the paths that were asked for."""
    folder = tmp_path / "www"
    shutil.copytree(released, folder)
    Quiet.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ZOO_RELEASES", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    yield folder
    server.shutdown()
    server.server_close()


def test_a_release_is_fetched_once(served):
    assert NAME in zoo.list_pretrained()
    first = zoo.load_pretrained(NAME).sample(4, seed=0)
    files = sorted(path.name for path in release_folder(NAME).iterdir())
    assert files == ["D.safetensors", "G.safetensors", "card.json", "grid.png"]
    Quiet.asked.clear()
    assert zoo.load_pretrained(NAME).sample(4, seed=0).equal(first)
    assert set(Quiet.asked) == {"/index.json"}


@pytest.mark.parametrize("file", ["G.safetensors", "grid.png", "card.json"])
def test_what_is_not_expected_is_not_kept(served, file):
    (served / NAME / file).write_text("<html>please log in</html>")
    with pytest.raises(ReleaseError, match=rf"{file} is not what was expected \(it looks like a web page\)"):
        zoo.load_pretrained(NAME)
    kept = Path(os.environ["ZOO_CACHE"]) / "releases"
    assert list(kept.iterdir()) == []


def test_an_absent_file_is_named_and_nothing_is_kept(served):
    (served / NAME / "D.safetensors").unlink()
    with pytest.raises(ReleaseError, match=r"D\.safetensors could not be fetched: .*404"):
        zoo.load_pretrained(NAME)
    assert list((Path(os.environ["ZOO_CACHE"]) / "releases").iterdir()) == []


def test_a_place_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("ZOO_RELEASES", "http://127.0.0.1:9/releases")
    with pytest.raises(ReleaseError, match=r"127\.0\.0\.1:9/releases/index\.json could not be fetched"):
        zoo.list_pretrained()


def test_a_server_that_never_ends_its_answer_is_left(monkeypatch):
    """It sends on and on, or a byte now and then, or nothing: each is one error, soon."""

    class Endless:
        headers: ClassVar[dict[str, str]] = {}

        def __init__(self, block):
            self.block = block

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def read1(self, size):
            if self.block is None:
                raise TimeoutError("timed out")
            return self.block

    monkeypatch.setattr("zoo.runs.download.PATIENCE", 0.01)
    for block, says in (
        (b"0" * 2**16, "has more than the 1,000,000 bytes"),
        (b"0", "comes too slowly"),
        (None, "could not be fetched: timed out"),
    ):
        monkeypatch.setattr("urllib.request.urlopen", lambda *_, block=block, **__: Endless(block))
        with monkeypatch.context() as patch:
            patch.setattr("zoo.runs.download.SLOWEST", 0 if block and len(block) > 1 else 2**40)
            with pytest.raises(ReleaseError, match=f"index.json {says}"):
                download("http://somewhere/index.json", largest=1_000_000)


def test_an_index_of_nonsense_is_refused(served):
    (served / "index.json").write_text('["dcgan.digits"]')
    with pytest.raises(ReleaseError, match="is no index of releases"):
        zoo.list_pretrained()


def test_a_release_that_another_process_has_just_fetched_is_taken(served, monkeypatch):
    rename = Path.rename

    def second(part, folder):
        shutil.copytree(part, folder)
        return rename(part, folder)

    monkeypatch.setattr(Path, "rename", second)
    assert zoo.load_pretrained(NAME).images_seen == 192
    (kept,) = (Path(os.environ["ZOO_CACHE"]) / "releases").iterdir()
    assert kept.name.startswith(f"{NAME}-")
