"""`zoo demo`: what the page may ask for, what it gets, and how it behaves in a real browser."""

import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import pytest
import torch
from headless_browser import Page, browser, find_browser
from PIL import Image
from registry import SMALL, small_model

from zoo import load_pretrained
from zoo.__main__ import parser
from zoo.commands.demo.scene import Scene
from zoo.commands.demo.server import LONGEST, Answer, Server
from zoo.commands.demo.state import State
from zoo.errors import EvaluationError, ReleaseError, UsageError
from zoo.metrics.quantize import to_uint8
from zoo.models import MODELS
from zoo.models.infogan import InfoGAN
from zoo.releases.find import SHIPPED, read_index


@contextmanager
def serving(paper: str) -> Iterator[Server]:
    """A small model of a paper at a free port."""
    torch.manual_seed(0)
    with Server(Scene(f"{paper}.small", small_model(paper)), port=0) as server:
        yield server


def grid_of(server: Server, *, seed: int) -> np.ndarray:
    """The sixteen images that the page shows: [16, h, w, 3]; they are those of `sample`, to a grey level."""
    module = server.scene.module
    side = module.image_shape[-1]
    found = pixels(image(server, seed=seed), side=4 * side).reshape(4, side, 4, side, 3)
    tiles = found.transpose(0, 2, 1, 3, 4).reshape(16, side, side, 3)
    wanted = to_uint8(module.sample(16, seed=seed)).permute(0, 2, 3, 1).numpy()
    assert np.abs(tiles.astype(int) - wanted).max() <= 1
    return tiles


def get(server: Server, target: str) -> Answer:
    return server.answer(target, host=f"127.0.0.1:{server.server_port}")


def image(server: Server, **state: Any) -> Answer:
    return get(server, f"/image?state={quote(json.dumps(state))}")


def pixels(answer: Answer, *, side: int) -> np.ndarray:
    """The picture, each of the model's pixels once: [h, w, 3]."""
    assert answer.status == 200, answer.body
    picture = Image.open(BytesIO(answer.body)).convert("RGB")
    times = picture.width // side
    found = np.array(picture)[::times, ::times]
    assert (found.repeat(times, 0).repeat(times, 1) == np.array(picture)).all()  # nearest neighbours
    return found


@pytest.mark.parametrize("paper", SMALL)
def test_the_grid_is_what_zoo_sample_draws_and_the_chosen_one_is_its_tile(paper: str) -> None:
    with serving(paper) as server:
        module = server.scene.module
        side = module.image_shape[-1]
        grid, found = image(server, seed=7), grid_of(server, seed=7)
        command = f"python -m zoo sample {paper}.small -n 16 --seed 7"
        assert unquote(dict(grid.headers)["X-Command"]) == command
        one = image(server, seed=7, show=6)
        assert np.abs(pixels(one, side=side).astype(int) - found[6]).max() <= 1
        assert unquote(dict(one.headers)["X-Command"]) == f"{command} --files"
        controls = json.loads(get(server, "/state").body)
        names = controls["directions"]["names"]
        assert names
        assert bool(controls["labels"]) == (paper == "cgan")
        assert bool(controls["codes"]) == (paper == "infogan")
        assert bool(controls["layers"]) == (paper == "stylegan")
        moved = image(server, seed=7, show=6, directions=[4] * len(names))
        assert moved.body != one.body
        assert dict(moved.headers)["X-Command"] == ""
        assert json.loads(Image.open(BytesIO(moved.body)).text["zoo demo"])["seed"] == 7


@pytest.mark.slow
@pytest.mark.parametrize("name", read_index(str(SHIPPED)))
def test_a_release_is_shown_as_zoo_sample_draws_it(name: str) -> None:
    with Server(Scene(name, load_pretrained(name)), port=0) as server:
        tiles = grid_of(server, seed=5)
        state = json.loads(get(server, "/state").body)
        moved = image(server, seed=5, show=3, directions=[4] + [0] * (len(state["directions"]["names"]) - 1))
        assert np.abs(pixels(moved, side=tiles.shape[1]).astype(int) - tiles[3]).max() > 20


def test_there_are_as_many_labels_as_classes() -> None:
    one, ten = MODELS["cgan"](num_classes=1), small_model("cgan")
    assert Scene("cgan.small", one, labels=["cat", "dog"]).labels == ["0"]  # the page had both, and refused the second
    assert Scene("cgan.small", ten, labels=["cat", "dog"]).labels == ["cat", "dog", *"23456789"]


def test_a_code_of_a_single_category_is_a_category() -> None:
    small: dict[str, Any] = {"network": "celeba", "resolution": 16, "width": 2, "noise": 3, "codes": 1, "continuous": 1}
    scene = Scene("infogan.small", InfoGAN(**small, categories=1).eval())
    codes = [{"name": "c1", "categories": 1}, {"name": "c2", "categories": None}]
    assert scene.controls("sefa")["codes"] == codes


def test_labels_codes_truncation_and_styles_are_what_they_say() -> None:
    with serving("cgan") as server:
        scene = server.scene
        torch.testing.assert_close(
            scene.images(State(label=3)), scene.module.sample(16, labels=torch.full((16,), 3), seed=0)
        )
        assert scene.command(State(label=3)) == "python -m zoo sample cgan.small -n 16 --seed 0 --labels 3"
    with serving("infogan") as server:
        layout: Any = server.scene.module.layout
        z = server.scene.with_codes(server.scene.module.draw(4, seed=0)[0], State(codes={"c1": 5, "c2": -2, "c3": 1.5}))
        codes = layout.codes_of(z)
        assert (codes.categorical.argmax(2) == 5).all()
        assert (codes.categorical.sum(2) == 1).all()
        assert codes.continuous.tolist() == [[-2, 1.5]] * 4
    with serving("stylegan") as server:
        scene, module = server.scene, server.scene.module
        for block in module.modules():  # as trained ones are: else no style and no noise is seen
            for parameter in block.parameters(recurse=False):
                if parameter.ndim == 1:
                    torch.nn.init.normal_(parameter, 0, 0.3)
        torch.testing.assert_close(scene.images(State(psi=0.5)), module.sample(16, seed=0, truncation_psi=0.5))
        assert (scene.command(State(psi=0.5)) or "").endswith("--truncation 0.5")
        second = scene.images(State(mix_from=0, mix_seed=3))
        alone, last = scene.images(State()), scene.images(State(mix_from=7, mix_seed=3))
        assert (second - alone).abs().mean() > (last - alone).abs().mean()
        assert scene.images(State(show="second")).shape[0] == 1
        assert scene.command(State(mix_from=2)) is None


def test_bad_queries_are_refused_in_a_sentence() -> None:
    with serving("infogan") as server:
        for state, text in (
            ("{", "must be a JSON object"),
            ("[" * 1200, "must be a JSON object"),
            ("[]", "must be a JSON object"),
            ('{"n": 5}', "the state has no 'n'"),
            ('{"seed": -1}', "seed must be a whole number from 0"),
            ('{"seed": true}', "seed must be a whole number"),
            ('{"show": 16}', "show must be a whole number from 0 to 15"),
            ('{"show": "second"}', "has no styles"),
            ('{"codes": {"c1": 10}}', "c1 must be a whole number from 0 to 9"),
            ('{"codes": {"c2": NaN}}', "c2 must be a number from -2 to 2"),
            ('{"codes": {"c9": 1}}', "there is no code 'c9'"),
            ('{"label": 1}', "has no labels"),
            ('{"psi": 0.5}', "has no styles"),
            ('{"by": "x"}', "by must be one of"),
            ('{"directions": [1e300]}', "a direction must be a number from -4 to 4"),
            ('{"show": 0, "directions": [0, 0, 0, 0, 0, 0, 1]}', "there are 6 directions by sefa, not 7"),
        ):
            answer = get(server, f"/image?state={quote(state)}")
            assert answer.status == 400, state
            assert text in answer.body.decode()
            assert answer.body.count(b"\n") == 1
        for target in (
            "/image?n=4",
            "/state?by=x",
            "/image?state=%7B%7D&state=%7B%7D",
            "/image?%ff=%ff",
            "/image?state",
        ):
            assert get(server, target).status == 400, target
        assert get(server, "/etc/passwd").status == 404
        assert get(server, "/image?state=" + "x" * LONGEST).status == 414


def test_only_this_machine_and_this_page_are_answered() -> None:
    with serving("gan") as server:
        here = f"localhost:{server.server_port}"
        assert server.server_address[0] == "127.0.0.1"
        assert server.answer("/", host=here).status == 200
        assert server.answer("/", host=f"evil.example:{server.server_port}").status == 403
        assert server.answer("/", host="").status == 403
        assert server.answer("/image", host=here, site="cross-site").status == 403
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
            connection.request("GET", "/image")
            answer = connection.getresponse()
            assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
            assert Image.open(BytesIO(answer.read())).size[0] > 100
            connection.request("POST", "/image")
            assert connection.getresponse().status == 501
        finally:
            server.shutdown()
        with pytest.raises(UsageError, match=r"--port \d+: .*--port 0 takes a port that is free"):
            Server(server.scene, port=server.server_port)


def test_what_is_no_such_model_or_port_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = parser("demo").parse_args(["demo", "no.such"])
    with pytest.raises(ReleaseError, match=r"no\.such"):
        arguments.run(arguments)
    with pytest.raises(SystemExit):
        parser("demo").parse_args(["demo", "gan.mnist", "--port", "99999"])
    assert "must be a whole number from 0 to 65535" in capsys.readouterr().err
    with pytest.raises(EvaluationError, match="points in the plane"):
        Scene("toy", MODELS["lsgan"](network="ring"))


# --- in a browser ---


def pictures(tab: Page) -> tuple[str, str]:
    """The pictures' addresses, once they stand still."""
    last, deadline = None, time.monotonic() + 60
    while time.monotonic() < deadline:
        tab.run("new Promise((done) => setTimeout(() => done(true), 150))")
        now = tab.run(
            "[document.querySelector('#large')?.src ?? '', document.querySelector('#grid button')"
            "?.style.backgroundImage ?? '', document.querySelectorAll('.stale').length]"
        )
        if now[0].startswith("blob:") and now[1] and not now[2] and now == last:
            return now[0], now[1]
        last = now
    raise AssertionError(f"no picture: {now}, {tab.problems}")


@pytest.mark.skipif(find_browser() is None, reason="no browser is installed")
def test_a_slider_that_is_moved_changes_the_picture(tmp_path: Path) -> None:
    with serving("infogan") as server, browser(tmp_path) as tab:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def seen() -> tuple[str, str]:
            return pictures(tab)

        def slide(identity: str, value: float) -> None:
            tab.run(
                f"(() => {{ const i = document.getElementById('{identity}'); i.value = {value};"
                "i.dispatchEvent(new Event('input', { bubbles: true })); })()"
            )

        def opened(width: int, height: int) -> tuple[str, str]:
            """The page in a window of that size, which holds all of its width and the large picture's height."""
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
            tab.call("Emulation.setDeviceMetricsOverride", **size)
            tab.call("Page.navigate", url="about:blank")
            tab.call("Page.navigate", url=server.address)
            found = seen()
            assert tab.run("document.documentElement.scrollWidth") <= width
            assert tab.run("document.querySelector('#large').getBoundingClientRect().bottom") < height
            return found

        assert opened(1280, 800)
        first = opened(390, 844)
        slide("direction-0", 3)
        moved = seen()
        assert moved[0] != first[0]
        assert moved[1] == first[1]  # directions move the chosen sample alone
        assert "moved along 1 direction" in tab.run("document.querySelector('#caption').textContent")
        slide("c1", 4)
        coded = seen()
        assert coded[0] != moved[0]
        assert coded[1] != moved[1]
        tab.click("#grid button:nth-child(6)")
        assert seen()[0] != coded[0]
        assert "Sample 6" in tab.run("document.querySelector('#caption').textContent")
        tab.click("#reset")
        seen()
        assert "zoo sample infogan.small" in tab.run("document.querySelector('#command').textContent")
        assert all(url.startswith((server.address, "blob:", "data:", "about:")) for url in tab.requests)
        assert not tab.problems
        server.shutdown()


def test_a_model_of_any_name_has_a_page() -> None:
    torch.manual_seed(0)
    with Server(Scene(os.fsdecode(b"of\xff.ckpt"), small_model("dcgan")), port=0) as server:
        found = image(server, seed=0)
    assert found.status == 200
    assert unquote(dict(found.headers)["X-Command"]).startswith(r"python -m zoo sample 'of\udcff.ckpt'")


@pytest.mark.skipif(find_browser() is None, reason="no browser is installed")
def test_any_address_opens_the_page_and_a_second_one_in_the_same_tab_too(tmp_path: Path) -> None:
    with serving("infogan") as server, browser(tmp_path) as tab:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        wrong = {"codes": None, "by": "nothing", "label": {}, "chosen": "x", "directions": {}, "n": 1}
        tab.call("Page.navigate", url=f"{server.address}#{quote(json.dumps(wrong))}")
        assert pictures(tab)  # codes of null stopped the script, and a way that is none left the page empty
        assert tab.run("document.querySelector('#trouble').hidden")
        assert "Sample 1 of seed 0" in tab.run("document.querySelector('#caption').textContent")
        tab.call("Page.navigate", url=f"{server.address}#{quote(json.dumps({'chosen': 4, 'seed': 7}))}")
        deadline, caption = time.monotonic() + 10, ""
        while "Sample 5 of seed 7" not in caption and time.monotonic() < deadline:  # the page loads again meanwhile
            time.sleep(0.3)
            caption = tab.run("document.querySelector('#caption')?.textContent ?? ''")
        assert "Sample 5 of seed 7" in caption
        server.shutdown()
