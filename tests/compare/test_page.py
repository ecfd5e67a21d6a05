"""The page: what its data and pictures hold, and how it behaves in a real browser."""

import base64
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from headless_browser import Page, browser, find_browser
from made_runs import PROTOCOL, make_run
from PIL import Image

from zoo.commands.compare.charts import POINTS, Charts, styles_note, thinned
from zoo.commands.compare.comparison import Comparison
from zoo.commands.compare.page import page, write_page
from zoo.commands.compare.pictures import evenly, first_row, grids_section, picture, positions
from zoo.commands.compare.reading import read_runs
from zoo.commands.compare.runs import Point
from zoo.errors import ZooError


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three finished runs of three papers, one under another protocol, and one that was stopped early."""
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "a", tests={"best": 44.0, "last": 66.0}, model={"mood": "good"})
    make_run(folder / "b", paper="wgan", values={0: 500.0, 200: 45.0, 400: 40.0}, model={"mood": "<b>&</b>"})
    make_run(folder / "c", paper="lsgan", protocol={**PROTOCOL, "n_fake": 5000})
    make_run(folder / "d", paper="dcgan", values={0: 550.0, 200: 80.0}, finished=False)
    return folder


def comparison(folder: Path) -> Comparison:
    return Comparison(*read_runs([folder]))


def data_of(html: str) -> dict[str, Any]:
    """What the page's script draws."""
    text = html.partition('<script type="application/json" id="data">')[2].partition("</script>")[0]
    return dict(json.loads(text))


class Tags(HTMLParser):
    """Checks that every element is closed, and gathers attributes that name something outside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_names_nothing_outside(runs: Path) -> None:
    html = page(comparison(runs))
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert tags.sources
    assert all(source.startswith("data:") for source in tags.sources)
    assert "://" not in re.sub(r"http://www.w3.org/\S+", "", html)
    assert "&lt;b&gt;&amp;&lt;/b&gt;" in html  # a setting that looks like HTML
    assert str(runs) not in html  # no folder of this machine
    assert "/home/me" not in html


def test_the_data_of_the_charts(runs: Path) -> None:
    data = data_of(page(comparison(runs)))
    chart = data["charts"][0]
    assert (chart["title"], chart["better"]) == ("fd_lenet2k", "lower")
    assert [(s["x"], s["t"], s["y"], s["best"], s["dash"]) for s in chart["series"]] == [
        ([0, 200, 400], [0, 20, 40], [600, 50, 60], 1, 0),
        ([0, 200, 400], [0, 20, 40], [500, 45, 40], 2, 0),
        ([0, 200, 400], [0, 20, 40], [600, 50, 60], 1, 1),
        ([0, 200], [0, 20], [550, 80], 1, 0),
    ]
    assert chart["series"][0]["s"] == [1, 1, 1]
    assert [s.get("u") for s in chart["series"]] == [[0, 20, 40]] * 3 + [None]  # no updates in the log, and no record
    assert [run["label"] for run in data["runs"]] == [
        "gan digits",
        "wgan digits",
        "lsgan digits",
        "unknown paper digits",
    ]
    losses = [c["series"][0]["y"] for c in data["charts"] if c["title"].startswith("losses of")]
    assert losses == [[1.1, 1.2, 1.3, 1.4]] * 3 + [[1.1, 1.2]]


def test_a_line_of_an_unknown_protocol_is_said_to_be_one(runs: Path) -> None:
    """The run that was stopped is drawn like those of the first protocol."""
    told = "compare lines of one style: solid <code>00000000347c</code>, dashed <code>00000000347f</code>"
    note = styles_note(comparison(runs), "fd_lenet2k")
    assert note == f"Protocols differ, {told}; solid too where none is recorded yet, which may be any."


def test_a_script_element_cannot_be_ended_by_a_label(runs: Path) -> None:
    charts = Charts(comparison(runs))
    charts.add("</script><!--", [])
    assert "</" not in charts.as_json()
    assert "<!--" not in charts.as_json()
    assert json.loads(charts.as_json())["charts"][0]["title"] == "</script><!--"


def test_long_curves_keep_their_ends_and_every_spike() -> None:
    points = [Point(i, float(i), 1.0) for i in range(10_000)]
    points[1234] = points[1234]._replace(value=99.0)
    points[7777] = points[7777]._replace(value=-99.0)
    points[5000] = points[5000]._replace(value=None)
    kept = thinned(points)
    assert len(kept) <= POINTS
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    assert kept == sorted(kept, key=lambda point: point.images_seen)
    assert {point.value for point in kept} >= {99.0, -99.0}
    assert thinned(points[:POINTS]) == points[:POINTS]


def test_moments_at_which_runs_can_be_compared() -> None:
    assert positions([[0, 100, 200], [0, 98, 205, 300]]) == [0, 100, 205]  # 300 has one run alone
    assert positions([[0, 100], [0, 100]] * 2) == [0, 100]
    assert positions([[0, 7, 500]]) == [0, 7, 500]  # a single run has its own moments
    assert positions([[0, 10], [5_000]]) == []
    assert len(positions([list(range(0, 9_000, 1_000))] * 2)) == 6
    long, short = list(range(0, 9_000, 1_000)), [0, 5_000]
    assert positions([long, long, short]) == [0, 2_000, 3_000, 5_000, 6_000, 8_000]
    assert positions([long, long, [0, 4_000]]) == [0, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000]  # all three have it
    assert evenly([1, 2, 3, 4, 5], 3) == [1, 3, 5]


@pytest.mark.parametrize(
    ("ends", "opened", "title"),
    [
        (
            [[0, 100], [0, 100, 1_000], [0, 100, 1_000]],
            "100",
            "Samples at equal images seen",
        ),  # not where two are alone
        ([[0, 100], [0, 1_000], [0, 1_000]], "end", "Samples"),  # not at the noise that all three share
        ([[50], [1_000]], "end", "Samples"),
        ([[0], [0]], "0", "Samples"),  # nothing else is there
        ([[0, 100, 200]], "200", "Samples at equal images seen"),
    ],
)
def test_grids_open_at_the_latest_moment_that_all_runs_share_or_at_their_ends(
    tmp_path: Path, ends: list[list[int]], opened: str, title: str
) -> None:
    for i, places in enumerate(ends):
        make_run(tmp_path / str(i), seed=i, values=dict.fromkeys(places, 50.0))
    html = grids_section(comparison(tmp_path))
    assert f"<h2>{title}</h2>" in html
    assert re.findall(r'value="(\w+)" aria-pressed="true"', html) == [opened]
    assert re.findall(r'data-position="(\w+)">', html) == [opened]  # the others are hidden


def test_pictures_are_kept_to_the_pixel(runs: Path) -> None:
    grid = Image.open(runs / "a/grids/images-000000200.png").convert("RGB")
    row = first_row(grid)
    assert row.size == (34, 6)
    assert row.getpixel((0, 0)) == (40, 40, 40)
    assert first_row(Image.new("RGB", (256, 256))).size == (256, 256)
    html = picture(grid, alt='a "grid"')
    assert 'alt="a &quot;grid&quot;" width="34" height="34"' in html
    shown = Image.open(BytesIO(base64.b64decode(html.partition("base64,")[2].partition('"')[0])))
    assert shown.mode == "L"
    assert shown.convert("RGB").tobytes() == grid.tobytes()


def test_a_damaged_picture_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    (folder / "grids/images-000000200.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(ZooError, match=r"images-000000200.png cannot be read as a picture"):
        write_page(comparison(folder), tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


# --- in a browser ---


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if find_browser() is None:
        pytest.skip("no browser is installed")
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
def written(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(comparison(runs), tmp_path_factory.mktemp("page") / "compare.html")


LARGE = 'figure[data-chart="0"][data-over="images"]'
COUNT = "document.querySelectorAll({!r}).length"
INSIDE = """((chart) => {
  const box = document.querySelector(`${chart} svg`).getBoundingClientRect();
  const texts = [...document.querySelectorAll(`${chart} svg text`)].map((text) => text.getBoundingClientRect());
  return texts.every((t) => t.left >= box.left - 1 && t.right <= box.right + 1 && t.bottom <= box.bottom + 1);
})"""
PLACE = """((chart, images) => {
  const figure = document.querySelector(chart), box = figure.querySelector("svg").getBoundingClientRect();
  return [box.left + figure.plot.x(images), box.top + 60];
})"""
VISIBLE = "[...document.querySelectorAll({!r})].filter((e) => e.getClientRects().length).map((e) => e.textContent)"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_it_opens_from_a_file_without_a_request_and_fits(tab: Page, written: Path, width: int, dark: bool) -> None:
    tab.requests.clear()
    tab.open(written, width=width, dark=dark)
    assert tab.problems == []
    assert [url for url in tab.requests if not url.startswith("data:")] == [written.as_uri()]
    assert tab.run("document.documentElement.scrollWidth") <= width  # nothing to scroll sideways
    assert tab.run(COUNT.format(f"{LARGE} path.curve")) == 4
    assert tab.run("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
    assert tab.run(f"{INSIDE}({LARGE!r})")
    ink, paper = (tab.run(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor"))
    light = [sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 for colour in (ink, paper)]
    assert (light[0] > 200 and light[1] < 40) if dark else (light[0] < 40 and light[1] > 200)


def test_labels_beside_the_lines_do_not_overlap(tab: Page, written: Path) -> None:
    tab.open(written, width=1280)
    tops = tab.run(f"[...document.querySelectorAll('{LARGE} text.end')].map((t) => t.getBoundingClientRect().top)")
    assert len(tops) == 4
    assert all(b - a >= 12 for a, b in zip(sorted(tops), sorted(tops)[1:], strict=False))


def test_nine_objectives_of_a_benchmark_are_told_apart(tab: Page, tmp_path: Path) -> None:
    """By colour and sign, of which there are eight and four, and by the ends of their labels."""
    for objective in (names := [*("hinge", "lsgan", "non-saturating", "r1", "s", "t", "u", "v", "wgan")]):
        make_run(tmp_path / objective, paper="benchmark", model={"objective": objective}, tests={"last": 1.0})
    html = write_page(comparison(tmp_path), tmp_path / "page.html")
    data = data_of(html.read_text())
    assert data["runs"][2]["label"] == "benchmark digits, objective non-saturating"  # though it is the recipe's
    assert [series["end"] for series in data["charts"][0]["series"]] == [f"objective {name}" for name in names]
    tab.open(html, width=1280)
    signs = f"[...document.querySelectorAll('{LARGE} path.sign')]"
    looks = tab.run(f"{signs}.map((p) => p.parentNode.className.baseVal + p.getAttribute('d').replace(/[^a-z]/g, ''))")
    assert len(set(looks)) == len(looks) == 9


def test_names_bear_the_signs_of_their_runs_and_lines_lead_to_them_from_ends_further_left(
    tab: Page, written: Path
) -> None:
    tab.open(written, width=1280)
    assert tab.run(COUNT.format(f"{LARGE} path.sign")) == 4
    (leader,) = tab.run(f"[...document.querySelectorAll('{LARGE} path.leader')].map((p) => p.getAttribute('d'))")
    (x, y), (right, beside) = (tuple(map(float, pair.split(","))) for pair in leader[1:].split("L"))
    plot = f"document.querySelector('{LARGE}').plot"
    assert x == pytest.approx(tab.run(f"{plot}.x(200)"), abs=8)  # the run that was stopped, at its last value
    assert y == pytest.approx(tab.run(f"{plot}.y(80)"), abs=0.1)
    assert right > tab.run(f"{plot}.x(400)")
    name = "[...document.querySelectorAll({!r})].find((t) => t.textContent.startsWith('unknown'))"
    assert beside == pytest.approx(float(tab.run(f"{name.format(f'{LARGE} text.end')}.getAttribute('y')")) - 4)
    tab.click('button[value="shortest"]')  # now all end at the right
    assert tab.run(COUNT.format(f"{LARGE} path.leader")) == 0
    assert tab.run(COUNT.format(f"{LARGE} path.sign")) == 4


def test_a_point_lies_where_its_value_says(tab: Page, written: Path) -> None:
    tab.open(written, width=1280)
    plot = f"document.querySelector('{LARGE}').plot"
    left, middle, right = (tab.run(f"{plot}.x({at})") for at in (0, 200, 400))
    assert middle == pytest.approx((left + right) / 2)
    drawn = tab.run(f"document.querySelector('{LARGE} path.curve').getAttribute('d')")
    points = [tuple(map(float, pair.split(","))) for pair in re.split("[ML]", drawn)[1:]]
    assert [x for x, _ in points] == pytest.approx([left, middle, right], abs=0.1)
    assert [y for _, y in points] == pytest.approx([tab.run(f"{plot}.y({v})") for v in (600, 50, 60)], abs=0.1)
    assert points[0][1] < points[2][1] < points[1][1]  # downwards on the screen is lower
    assert tab.run(COUNT.format(f"{LARGE} path.mark.best")) == 4


@pytest.mark.parametrize("values", [(11_950.0, 11_000.0, 11_400.0), (4e-4, 2e-4, 1.5e-4), (-1.002e9, -1.001e9, -1.0e9)])
def test_the_labels_of_an_axis_say_where_its_ticks_are(
    tab: Page, tmp_path: Path, values: tuple[float, float, float]
) -> None:
    make_run(tmp_path / "a", values=dict(zip((100, 200, 400), values, strict=True)))
    tab.open(write_page(comparison(tmp_path), tmp_path / "page.html"), width=1280)
    axis = (
        f"[...document.querySelectorAll('{LARGE} svg text[text-anchor=end]')].filter((t) => +t.getAttribute('x') < 80)"
    )
    labels = [float(text) for text in tab.run(f"{axis}.map((t) => t.textContent)")]
    places = [float(y) - 4 for y in tab.run(f"{axis}.map((t) => t.getAttribute('y'))")]
    plot = f"document.querySelector('{LARGE}').plot"
    assert places == pytest.approx([tab.run(f"{plot}.y({label!r})") for label in labels], abs=0.1)
    assert len(set(labels)) == len(labels) >= 3
    assert tab.run(f"{INSIDE}({LARGE!r})")


def test_runs_are_hidden_and_shown(tab: Page, written: Path) -> None:
    tab.open(written, width=1280)
    rows = VISIBLE.format("tr[data-of-run] th")
    before = tab.run(rows)
    tab.click('button.run-key[data-run="1"]')
    assert tab.run(COUNT.format(f"{LARGE} path.curve")) == 3
    assert tab.run(rows) == [row for row in before if row != "wgan digits"]
    for run in (0, 2, 3):
        tab.click(f'button.run-key[data-run="{run}"]')
    assert "nothing shown" in tab.run(f"document.querySelector('{LARGE} svg').textContent")
    for run in range(4):
        tab.click(f'button.run-key[data-run="{run}"]')
    assert tab.run(COUNT.format(f"{LARGE} path.curve")) == 4
    assert tab.run(rows) == before


def test_clocks_and_the_shared_part(tab: Page, written: Path) -> None:
    tab.open(written, width=1280)
    losses = "[...document.querySelectorAll('figure[data-of-run=\"0\"] svg text')].map((t) => t.textContent)"
    assert "images seen" in tab.run(losses)
    tab.click('button[value="seconds"]')
    assert "wall time" in tab.run(losses)
    assert "40 s" in tab.run(losses)
    tab.click('button[value="updates"]')
    assert {"updates of G", "40"} <= set(tab.run(losses))
    over = 'figure[data-chart="0"][data-over="updates"] path.curve'
    assert tab.run(COUNT.format(over)) == 3  # the run that was stopped does not say them
    end = f"document.querySelector('{LARGE}').plot.end"
    assert tab.run(end) == 400  # the large charts keep their clocks
    tab.click('button[value="shortest"]')
    assert tab.run(end) == 200  # the run that was stopped


def test_the_read_out_follows_the_pointer_and_the_keys(tab: Page, written: Path) -> None:
    tab.open(written, width=1280)
    tab.move(*tab.run(f"{PLACE}({LARGE!r}, 390)"))
    lines = f"[...document.querySelectorAll('{LARGE} .readout div')].map((d) => d.textContent)"
    assert tab.run(lines) == ["400 images", "wgan digits40 ± 1", "gan digits60 ± 1", "lsgan digits60 ± 1"]
    tab.move(1, 1)
    assert tab.run(lines) == []
    press = f"document.querySelector('{LARGE} svg').dispatchEvent(new KeyboardEvent('keydown', {{key: 'ArrowRight'}}))"
    tab.run(press)
    tab.run(press)
    assert tab.run(lines)[0] == "200 images"
    assert tab.run(lines)[-1] == "unknown paper digits80 ± 1"


def test_grids_at_a_moment(tab: Page, written: Path) -> None:
    tab.open(written, width=390)
    names = VISIBLE.format(".pictures figure")
    assert tab.run("document.querySelector('[data-choose=position] [aria-pressed=true]').textContent") == "200 images"
    assert [name.endswith("200 images") for name in tab.run(names)] == [True] * 4
    tab.click('[data-choose="position"] button[value="400"]')
    shown = tab.run(names)
    assert [name.endswith("400 images") for name in shown] == [True, True, True, False]
    assert shown[3].startswith("no grid here; the next is at 200")
