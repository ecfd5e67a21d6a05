"""Releases at the Hugging Face Hub: the real client, `huggingface_hub`, against a local fake of the HTTP interface."""

import http.server
import importlib
import json
import shutil
import sys
import threading
from pathlib import Path

import pytest
import yaml
from fake_hub import TOKEN, FakeHub, sha_of

import zoo
from zoo.__main__ import main
from zoo.errors import ReleaseError, UsageError
from zoo.releases.find import add_to_index, release_folder
from zoo.releases.hub import repository
from zoo.releases.push import Destination
from zoo.releases.release import Release

NAME, REPO, ADDRESS = "dcgan.digits", "someone/digits", "hf://someone/digits"


@pytest.fixture(scope="module")
def endpoint():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def client(endpoint, tmp_path_factory):
    """huggingface_hub, imported anew where HF_ENDPOINT is the fake: the environment is read at its import."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", endpoint)
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("HF_HUB_DISABLE_XET", "1")  # its servers are not the Hub's
        patch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
            patch.delenv(name, raising=False)
        for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
            patch.delitem(sys.modules, name)
        hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (the extra `hub`)")
        importlib.import_module("huggingface_hub.constants")
        yield hub
        for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
            del sys.modules[name]


@pytest.fixture
def hub(client, monkeypatch, tmp_path):
    """The fake, empty, and a cache of its own."""
    FakeHub.forget()
    monkeypatch.setattr(client.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it prompted"))
    return FakeHub


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture
def files(released):
    return {path.name: path.read_bytes() for path in (released / NAME).iterdir()}


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
    main()
    return capsys.readouterr().out


def refused(monkeypatch, capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, capsys, *arguments)
    assert stop.value.code == 1
    return capsys.readouterr().err


def test_a_release_that_is_pushed_is_loaded_from_there(hub, token, released, monkeypatch, capsys):
    """By its name; then pinned to its commit; then without a network; nothing is asked for twice."""
    monkeypatch.setenv("ZOO_RELEASES", str(released))
    told = run(monkeypatch, capsys, "push", NAME, "--to", REPO, "--license", "mit")
    assert f"{ADDRESS}@{sha_of(1)}" in told
    monkeypatch.delenv("HF_TOKEN")  # anybody may read
    images = Release(released / NAME).module().sample(4, seed=0)
    assert zoo.load_pretrained(ADDRESS).sample(4, seed=0).equal(images)
    assert not [path for path in FakeHub.asked if "README" in path and "resolve" in path]
    FakeHub.asked.clear()
    assert zoo.load_pretrained(f"{ADDRESS}@{sha_of(1)}").sample(4, seed=0).equal(images)
    assert FakeHub.asked == []
    assert "holds" in run(monkeypatch, capsys, "verify", ADDRESS, "--quick")
    monkeypatch.setattr(sys.modules["huggingface_hub"].constants, "HF_HUB_OFFLINE", True)
    FakeHub.asked.clear()
    assert zoo.load_pretrained(ADDRESS).sample(4, seed=0).equal(images)
    assert FakeHub.asked == []
    with pytest.raises(ReleaseError, match=r"hf://someone/other: card\.json is not in the cache .*HF_HUB_OFFLINE"):
        zoo.load_pretrained("hf://someone/other")


def test_the_lines_of_the_page_load_it(hub, files):
    hub.put(REPO, files)
    page = (Path(__file__).parents[2] / "docs/hub.md").read_text()
    code, found = page.split("```python\n")[1].split("```")[0], {}
    exec(code.replace("OWNER/NAME", REPO).replace("REVISION", sha_of(1)), found)
    assert found["model"].images_seen == 192


def test_what_is_pushed_is_the_release_and_a_model_card(hub, token, client, released, files):
    address = Destination(REPO, private=True, licence="cc-by-sa-3.0").push(Release(released / NAME))
    assert address == f"{ADDRESS}@{sha_of(1)}"
    (sent,) = hub.repositories[REPO]
    assert REPO in hub.private
    assert {name: content for name, content in sent.items() if name != "README.md"} == {
        name: content for name, content in files.items() if name != "README.md"
    }
    assert not [name for name in sent if not name.endswith((".safetensors", ".json", ".png", ".md"))]
    text, card = sent["README.md"].decode(), json.loads(files["card.json"])
    metadata = yaml.safe_load(text.split("---\n")[1])
    assert metadata["license"] == "cc-by-sa-3.0"
    assert {"gan", "dcgan", "arxiv:1511.06434"} <= set(metadata["tags"])
    (model,) = metadata["model-index"]
    assert model["name"] == NAME
    (result,) = model["results"]
    assert result["task"] == {"type": "unconditional-image-generation"}
    assert result["dataset"]["args"]["fingerprint"] == card["data"]["fingerprint"]
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values == {name: card["figures"][name] for name in card["protocols"]}
    for metric in result["metrics"]:
        key = card["protocols"][metric["type"]]
        assert metric["args"].items() >= {"protocol": key, **card["protocol_texts"][key]}.items()
    assert client.ModelCard(text).data.eval_results  # as the Hub reads it
    assert f'zoo.load_pretrained("{ADDRESS}")' in text
    assert "![Samples of seed 0](grid.png)" in text


def test_a_second_push_sends_what_has_changed(hub, token, released, files):
    """And takes weights away that are no longer of the release."""
    hub.put(REPO, files | {"G_ema.safetensors": b"of an older one", ".gitattributes": b"", "notes.txt": b"mine"})
    Destination(ADDRESS).push(Release(released / NAME))
    assert hub.repositories[REPO][-1].keys() == files.keys() | {".gitattributes", "notes.txt"}
    assert Destination(REPO).push(Release(released / NAME)) == f"{ADDRESS}@{sha_of(2)}"
    assert len(hub.repositories[REPO]) == 2


def test_a_folder_of_releases_is_pushed_and_found_by_zoo_releases(hub, token, released, monkeypatch, capsys):
    assert f"ZOO_RELEASES={ADDRESS}" in run(monkeypatch, capsys, "push", released, "--to", REPO)
    sent = hub.repositories[REPO][-1]
    assert {"README.md", "index.json", f"{NAME}/card.json", f"{NAME}/grid.png"} <= sent.keys()
    assert f"| [{NAME}]({NAME}/card.json) |" in sent["README.md"].decode()
    hub.put(REPO, dict(sent) | {f"{NAME}/G_ema.safetensors": b"of an older one", "G.safetensors": b"of somebody"})
    run(monkeypatch, capsys, "push", released, "--to", REPO)
    assert hub.repositories[REPO][-1].keys() == sent.keys() | {"G.safetensors"}
    monkeypatch.setenv("ZOO_RELEASES", ADDRESS)
    assert NAME in zoo.list_pretrained()
    images = Release(released / NAME).module().sample(4, seed=0)
    assert zoo.load_pretrained(NAME).sample(4, seed=0).equal(images)
    changed = dict(sent) | {"index.json": json.dumps({NAME: "0" * 64}).encode()}
    hub.put(REPO, changed)
    with pytest.raises(ReleaseError, match=r"card\.json is not the card that .*index\.json lists"):
        release_folder(NAME)
    hub.put(REPO, dict(sent) | {"index.json": json.dumps({"wgan.mnist": "0" * 64}).encode()})
    assert "also lists wgan.mnist, which would be lost" in refused(monkeypatch, capsys, "push", released, "--to", REPO)


def test_what_is_to_be_private_is_not_sent_where_all_can_see_it(hub, token, released, files, monkeypatch, capsys):
    hub.put(REPO, files)
    told = refused(monkeypatch, capsys, "push", released / NAME, "--to", REPO, "--private")
    assert f"{ADDRESS} is there already and is seen by everybody, so nothing was sent" in told
    assert len(hub.repositories[REPO]) == 1
    hub.private.add(REPO)
    run(monkeypatch, capsys, "push", released / NAME, "--to", REPO, "--private")
    assert len(hub.repositories[REPO]) == 2


@pytest.mark.parametrize("file", ["G.safetensors", "grid.png"])
def test_what_is_not_what_the_card_says_is_not_read(hub, files, file):
    hub.put(REPO, files | {file: b"\x80\x04cos\nsystem\n"})
    with pytest.raises(ReleaseError, match=rf"{file} is not what its card\.json describes .*was not read"):
        zoo.load_pretrained(ADDRESS)


def test_files_are_those_of_one_commit(hub, files, monkeypatch):
    """Though another is pushed between two of them."""
    hub.put(REPO, files)
    read = Path.read_bytes

    def pushing(path):
        hub.put(REPO, {"card.json": b"{}"})
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", pushing)
    assert zoo.load_pretrained(ADDRESS).images_seen == 192


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("hf://someone/absent", "no such repository at http://127.*or it is private: for those, HF_TOKEN"),
        (f"{ADDRESS}@v9", "the repository someone/digits has no branch, tag or commit v9"),
        ("hf://someone/notes", r"the repository holds no card\.json, so it is no release of this zoo"),
        ("hf://someone/damaged", r"card\.json"),
    ],
)
def test_what_cannot_be_loaded_is_named(hub, files, address, says):
    hub.put(REPO, files)
    hub.put("someone/notes", {"README.md": b"notes", "pytorch_model.bin": b"\x80\x04"})
    hub.put("someone/damaged", {"card.json": b"[1]"})
    with pytest.raises(ReleaseError, match=says):
        zoo.load_pretrained(address)
    assert not [path for path in hub.asked if path.endswith(".bin")]


@pytest.mark.parametrize("address", ["hf://digits", "hf://a/b/c", "hf://a/../b", "hf://a/b@", "hf://", "a b/c"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UsageError, match=r"is no repository of the Hub: hf://OWNER/NAME"):
        repository(address)


def test_an_address_has_a_revision_or_none():
    assert repository("hf://a-b/c.d_e") == ("a-b/c.d_e", None)
    assert repository("hf://a/b@refs/pr/1") == ("a/b", "refs/pr/1")
    assert repository("a/b/") == ("a/b", None)


def test_a_push_that_cannot_be_is_one_error(hub, released, monkeypatch, capsys, tmp_path):
    folder = released / NAME
    assert "set HF_TOKEN" in refused(monkeypatch, capsys, "push", folder, "--to", REPO)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert "leave @main out" in refused(monkeypatch, capsys, "push", folder, "--to", f"{REPO}@main")
    told = refused(monkeypatch, capsys, "push", folder, "--to", REPO, "--precision", "int8")
    assert "--precision says how a release is made of a run" in told
    hub.put("someone/bert", {"config.json": b"{}", ".gitattributes": b""})
    told = refused(monkeypatch, capsys, "push", folder, "--to", "someone/bert")
    assert "holds something else (config.json) and no card.json: it was left alone" in told
    shutil.copytree(folder, tmp_path / "damaged")
    (tmp_path / "damaged" / "D.safetensors").write_bytes(b"")
    assert "was swapped" in refused(monkeypatch, capsys, "push", tmp_path / "damaged", "--to", REPO)
    shutil.copytree(folder, tmp_path / "all" / NAME)
    card = json.loads((folder / "card.json").read_text())
    card["hyperparameters"]["width"] = 16
    (tmp_path / "all" / NAME / "card.json").write_text(json.dumps(card))
    add_to_index(tmp_path / "all", NAME)
    told = refused(monkeypatch, capsys, "push", tmp_path / "all", "--to", REPO)
    assert "does not describe the weights beside it" in told
    (tmp_path / "all" / NAME).rename(tmp_path / "all" / "dcgan.mnist")
    (tmp_path / "all" / "index.json").unlink()
    add_to_index(tmp_path / "all", "dcgan.mnist")
    told = refused(monkeypatch, capsys, "push", tmp_path / "all", "--to", REPO)
    assert "dcgan.mnist of " in told
    assert "would not be found there: the package has other releases of that name" in told
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    assert f"{ADDRESS}: " in refused(monkeypatch, capsys, "push", folder, "--to", REPO)
    monkeypatch.setattr(sys.modules["huggingface_hub"].constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set: unset it" in refused(monkeypatch, capsys, "push", folder, "--to", REPO)
    assert hub.repositories.keys() == {"someone/bert"}


def test_a_run_is_pushed_as_the_release_that_is_made_of_it(hub, token, finished_run, released, monkeypatch, capsys):
    made = []

    def export(run, out, **settings):
        made.append((run.dir.path, settings["checkpoint"], settings["precision"]))
        return shutil.copytree(released / NAME, out / NAME)

    monkeypatch.setattr("zoo.releases.export.export", export)
    run(monkeypatch, capsys, "push", finished_run.dir.path, "--to", REPO, "--checkpoint", "best", "--figures", "record")
    assert made == [(finished_run.dir.path, "best", "float32")]
    assert "card.json" in hub.repositories[REPO][-1]


def test_without_the_extra_one_line_says_what_to_install(released, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for arguments in (["sample", ADDRESS], ["push", released / NAME, "--to", REPO]):
        (line,) = refused(monkeypatch, capsys, *arguments).splitlines()
        assert "needs huggingface_hub" in line
        assert "pip install huggingface_hub" in line


def test_a_folder_of_releases_and_a_release_are_told_apart(hub, token, released, files, monkeypatch, capsys, tmp_path):
    hub.put(REPO, files)
    monkeypatch.setenv("ZOO_RELEASES", ADDRESS)
    with pytest.raises(ReleaseError, match=f"no folder of releases; a release is loaded as {ADDRESS}"):
        zoo.list_pretrained()
    hub.put(REPO, {"index.json": b"{}"})
    with pytest.raises(ReleaseError, match=f"of a folder of releases one is named.* where ZOO_RELEASES={ADDRESS} is"):
        zoo.load_pretrained(ADDRESS)
    (tmp_path / "index.json").write_text("{}")
    assert "index.json lists no release" in refused(monkeypatch, capsys, "push", tmp_path, "--to", REPO)
