"""What `zoo benchmark` shows: tables, figures, the record and the page."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from played_benchmark import PRESET, Place, benchmark_of, column, played

from zoo.commands.benchmark.figures import curves, expected, figures, first_rows, standings
from zoo.commands.benchmark.members import Outcome
from zoo.commands.benchmark.page import COPIES, captions, findings, page, write
from zoo.commands.benchmark.record import PLACE, BenchmarkRecord, keep, of_folder, read_record, write_record
from zoo.commands.benchmark.search import (
    best_settings,
    chosen,
    correlation,
    in_words,
    ranged,
    searched,
    what_matters,
)
from zoo.commands.benchmark.tables import as_text, at_equal_cost, beats, costs, reached, tables
from zoo.errors import RecordError
from zoo.runs.record import read_result
from zoo.runs.statistics import Interval, rank_correlation
from zoo.training.benchmark import entries

# Tables.


def test_tables_at_equal_cost(place: Place) -> None:
    table = at_equal_cost(place.run())
    assert table.head[1:] == ("at 400 images", "at 8 updates of G", "at 0:00:40")
    # at 8 of hinge's updates of G it had seen 80 images: on the line from 700 at 0 to 2 * 10 (2 * 11) at 200
    early = [700 + 0.4 * (2 * end - 700) for end in (10, 11)]
    assert table.rows[0][1:3] == ["10.5 +/- 0.71", f"{sum(early) / 2:.4g} +/- {0.8 / 2**0.5:.2g}"]
    assert table.rows[1][1:3] == ["30.5 +/- 0.71"] * 2


def test_one_log_that_cannot_be_read_hides_no_costs() -> None:
    damaged, *others = played("r1", [5.0, 6.0, 7.0])
    table = at_equal_cost(benchmark_of(replace(damaged, curve={}), *others))
    assert [row[1] for row in table.rows] == ["800 +/- 0"]  # of the played curves at 800 images


def test_wall_time_is_compared_on_one_machine_alone() -> None:
    here, there = played("r1", [5.0, 6.0, 7.0]), played("hinge", [4.0, 5.0, 6.0])
    assert at_equal_cost(benchmark_of(*here, *there)).head[1:] == ("at 800 images", "at 800 updates of G", "at 0:13:20")
    gpu = {"cpu": "abacus", "cores": 8, "gpus": ["a GPU"]}
    there = [replace(member, record={**(member.record or {}), "hardware": gpu}) for member in there]
    parts = benchmark_of(*here, *there)
    table = at_equal_cost(parts)
    assert table.head[1:] == ("at 800 images", "at 800 updates of G")
    assert table.note.endswith("Wall time is left out: these runs are of several machines (a GPU; abacus, 1 core).")
    assert len(curves(parts).axes) == 2
    assert next(captions(parts))[1].startswith("fd_lenet2k over images and updates of G: the mean")


def test_costs_are_of_one_machine_each(place: Place) -> None:
    record = place.run()
    last = record.members[-1]
    assert last.record is not None
    faster = {**last.record, "hardware": {**last.record["hardware"], "cores": 8}, "wall_time_s": 5.0}
    table = costs(replace(record, members=[*record.members[:-1], replace(last, record=faster)]))
    assert table.head[5] == "images/s, undisturbed"
    assert [(row[0][:5], *row[4:]) for row in table.rows] == [
        ("hinge", "0:00:40", "10", "abacus, 1 core"),
        ("wgan,", "0:00:40", "10", "abacus, 1 core"),
        ("wgan,", "0:00:05", "10", "abacus, 8 cores"),
    ]


def test_members_that_are_not_at_their_end_are_in_no_number() -> None:
    first, second, third = played("r1", [5.0, 6.0, 7.0])
    far = {**third.curve, "fd_lenet2k": [9e9] * 4}
    for state in ("running", "stopped", "failed"):
        begun = replace(third, state=state, record=None, curve=far)
        assert at_equal_cost(benchmark_of(first, second, begun)).rows[0][1] == "800 +/- 0"


def test_the_other_tables(place: Place) -> None:
    record = place.run()
    assert [row[1:] for row in beats(record).rows] == [["", "1.00"], ["0.00", ""]]
    assert costs(record).rows[0][1:4] == ["400", "40", "40"]
    assert not searched(record).rows
    assert column(reached(record), "best") == ["10 +/- 0.71", "30 +/- 0.71"]
    assert [row[1:] for row in tables(record)[3].rows] == [["9.545 +/- 0.64"], ["3.28 +/- 0.076"]]


def test_the_table_of_a_search() -> None:
    members = []
    for i, value in enumerate([4.0, 1.0, 3.0, 2.0]):
        test = {"checkpoint": "last.ckpt", "images_seen": 1, "values": {"fd_lenet": value}, "protocols": {}}
        members.append(Outcome(f"r1-seed{i}", "r1", "r1", i, {"lr": i}, "finished", record={"tests": [test]}))
    curve = {"images_seen": [0, 10], "fd_lenet2k": [9.0, 7.0]}
    members.append(Outcome("r1-seed4", "r1", "r1", 4, {"lr": 4}, "diverged", curve=curve))
    table = searched(BenchmarkRecord("robustness", "", "fd_lenet", "fd_lenet2k", members, {}))
    (row,) = table.rows
    assert row[1] == "4 finished, 1 diverged"
    assert row[2].startswith("3.8 [")  # of one: (1 + 2 + 3 + 4 + 9) / 5, 9 of the untrained network
    assert row[3].startswith("2 [")  # of two of five: (4 * 1 + 3 * 2 + 2 * 3 + 1 * 4) / 10


def test_the_settings_of_a_search() -> None:
    """The best come first; a setting that all share is no column, and one that an objective lacks is an empty cell."""
    values = [5.0, 1.0, 4.0, 2.0, math.inf, 3.0]
    lrs = [0.5, 0.1, 0.4, 0.2, 0.6, 0.3]
    members = []
    for i, (value, lr) in enumerate(zip(values, lrs, strict=True)):
        (one,) = played("r1", [value if value < math.inf else None])
        members.append(replace(one, name=f"r1-{i}", settings={"lr": lr, "weight": -lr, "beta2": 0.9}))
        members.append(replace(one, name=f"wgan-{i}", label="wgan", settings={"lr": 1 + i}))
    record = benchmark_of(*members)
    table = best_settings(record)
    assert table.head == ("objective", "fd_lenet", "lr", "weight")
    assert table.rows == [
        ["r1", "1", "0.1", "-0.1"],
        ["r1", "2", "0.2", "-0.2"],
        ["wgan", "1", "2", ""],
        ["wgan", "2", "4", ""],
    ]
    (_, lr, weight), (_, other, none) = what_matters(record).rows
    assert (lr, weight, none) == ("1 [1, 1]", "-1 [-1, -1]", "")
    assert other == correlation(rank_correlation(range(1, 7), values))
    assert correlation(Interval(0.549, 0.00287, 0.855)) == "0.55 [0.003, 0.85]"  # away from 0, as is said of it
    assert correlation(Interval(0.536, 0.0, -0.0)) == "0.54 [0, 0]"
    assert in_words(record).startswith("Larger lr came out worse for r1; larger weight came out better for r1: these")
    assert not what_matters(benchmark_of(*members[:8])).rows  # of four runs a correlation says nothing
    assert not best_settings(benchmark_of(*(replace(member, settings={}) for member in members))).rows


def test_settings_of_runs_that_all_came_out_alike_tell_nothing() -> None:
    """As where all diverged."""
    members = [Outcome(f"r1-seed{i}", "r1", "r1", i, {"lr": 0.1 * i}, "diverged") for i in range(1, 7)]
    record = benchmark_of(*members)
    assert what_matters(record).rows == []
    assert in_words(record) == ""


def test_the_figures_of_a_search() -> None:
    """The setting on the axis is one that all members have, drawn from a range; one that diverged is shown, too."""
    members = []
    for objective, own in (("r1", {"weight": 2.0}), ("wgan", {})):
        for i, member in enumerate(played(objective, [5.0, 1.0, 4.0, None])):
            members.append(replace(member, settings={**own, "lr": 10.0**-i, "n_critic": (5, 1)[i % 2]}))
    record = benchmark_of(*members)
    assert (ranged(record), chosen(record)) == ("lr", "n_critic")
    drawings = dict(figures(record))
    assert list(drawings) == ["search", "settings"] == [name for name, _ in captions(record)]
    lines = [ax.get_lines() for ax in drawings["settings"].axes[:2]]
    assert [[line.get_xdata()[0] for line in own] for own in lines] == [[1.0, 0.1, 0.01, 0.001]] * 2
    assert [line.get_markerfacecolor() == "white" for line in lines[0]] == [True, False] * 2
    assert lines[0][3].get_ydata()[0] == pytest.approx(1.2 * 5)  # above the worst
    without = benchmark_of(*(replace(m, settings={"lr": m.settings["lr"]}) for m in members))
    assert (ranged(without), chosen(without)) == ("lr", None)
    assert "settings" in dict(figures(without))
    assert list(dict(figures(benchmark_of(*played("r1", [1.0, 2.0], settings=True))))) == ["search"]


def test_a_search_without_the_untrained_networks_is_shown_where_it_finds_something() -> None:
    record = benchmark_of(*played("wgan", [1.0, 2.0, None, None], settings=True))
    (row,) = searched(record).rows
    assert [cell.partition(" [")[0] for cell in row[2:]] == ["not finite", "not finite", "1", ""]
    assert [(k, best.value) for k, best in expected(record, "wgan")] == [(3, 1.25), (4, 1.0)]


def test_figures_of_a_benchmark_of_which_nothing_was_measured_yet() -> None:
    search = [replace(member, state="running", record=None) for member in played("r1", [1.0, 2.0], settings=True)]
    assert list(figures(benchmark_of(*search))) == []
    equal = [replace(member, settings={}) for member in search]
    assert [name for name, _ in figures(benchmark_of(*equal))] == ["curves"]


def test_the_page_names_no_figure_that_was_not_drawn() -> None:
    """Of runs that were measured at their end alone there are no curves."""
    members = [
        replace(member, curve={name: [0.0, end] for name, (*_, end) in member.curve.items()})
        for member in played("r1", [5.0, 6.0])
    ]
    record = benchmark_of(*members)
    assert [name for name, _ in figures(record)] == [name for name, _ in captions(record)] == ["heat"]


def test_a_mean_curve_goes_on_where_one_seed_diverged() -> None:
    figure = curves(benchmark_of(*played("r1", [5.0, 6.0, None])))
    (line,) = figure.axes[0].lines
    assert (line.get_xdata().min(), line.get_xdata().max()) == (100, 800)
    (line,) = curves(benchmark_of(*played("r1", [None]))).axes[0].lines  # of nothing else, what there is
    assert line.get_xdata().max() == 400


def test_the_heat_map_counts_runs_that_diverged_as_the_tables_do() -> None:
    members = [*played("wgan", [None, None]), *played("r1", [4.0, 6.0, 5.0]), *played("hinge", [1.0, None])]
    names, labels, means, places = standings(benchmark_of(*members))
    assert (names, labels) == (["fd_lenet", "is_lenet"], ["wgan", "r1", "hinge"])
    assert places.tolist() == [[2.5, 2.5], [1, 1], [2.5, 2.5]]
    assert means[0].tolist() == [math.inf, -math.inf]
    assert means[1].tolist() == pytest.approx([5.0, (25 + 100 / 6 + 20) / 3])


def test_what_is_said_of_the_first_place() -> None:
    def told(*members: Outcome) -> str:
        return next(findings(benchmark_of(*members)))

    three = [*played("r1", [1.0, 2.0, 3.0]), *played("hinge", [4.0, 5.0, 6.0]), *played("wgan", [2.0, 3.0, 4.5])]
    assert told(*three).endswith(
        "r1 comes first. At least 95 % of its pairs of runs beat hinge. "
        "Against wgan the runs overlap: that difference may be luck."
    )
    one = [*played("r1", [1.0]), *played("hinge", [2.0])]
    assert told(*one).endswith("r1 comes first. Against hinge there are too few runs to tell.")
    assert column(reached(benchmark_of(*one)), "rank") == ["1", "2"]  # one run tells of no interval
    assert told(*played("r1", [None, None]), *played("wgan", [None])).endswith("r1, wgan share the first place.")
    varied = [replace(m, label=f"r1, weight {m.seed // 3}") for m in played("r1", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]
    assert "r1, weight 0 comes first. At least 95 % of its pairs of runs beat r1, weight 1." in told(*varied)


def test_what_is_said_of_a_benchmark_of_which_a_part_was_run() -> None:
    missing = [replace(m, state="missing", record=None, curve={}) for m in played("wgan", [1.0] * 12)]
    parts = benchmark_of(*played("r1", [1.0, 2.0, 3.0]), *played("hinge", [4.0, 5.0, 6.0]), *missing)
    ranking, states = findings(parts)
    assert ranking.startswith(
        "By fd_lenet at the end of training, r1 comes first of the 2 groups (of 3) that have results so far. At least"
    )
    assert states == "6 of 18 runs were trained to their end; 12 missing."  # a dozen names say no more


@pytest.mark.parametrize(("columns", "above"), [(8, 0), (10, 20)])
def test_the_samples_of_a_grid_are_without_the_classes_above_it(columns: int, above: int) -> None:
    grid = Image.new("L", (136 * columns + 8, 136 * 8 + 8 + above), 0)
    grid.paste(255, (0, 0, grid.width, above))
    found = first_rows(grid)
    assert found.getextrema() == (0, 0)
    assert found.height == pytest.approx(136 * 4 + 4, abs=2)


def test_a_search_keeps_no_grids(place: Place) -> None:
    preset = replace(PRESET, draws={"lr": ("log", 1e-5, 1e-2)})
    record = place.run()
    assert set(record.grids) == {"hinge", "wgan"}
    assert of_folder(place.folder, "robustness", preset, record.members).grids == {}


# The record and the page.


def test_the_record_is_read_as_it_was_written(place: Place, tmp_path: Path) -> None:
    record = place.run()
    kept = keep(record, tmp_path)
    assert kept == tmp_path / PLACE / "digits.json"
    again = read_record(kept)
    assert as_text(again) == as_text(record)
    assert [m.curve for m in again.members] == [m.curve for m in record.members]
    assert {name: file.name for name, file in again.grids.items()} == {
        "hinge": "digits-hinge.png",
        "wgan": "digits-wgan.png",
    }
    assert "/home/me" not in kept.read_text()
    assert kept.stat().st_size < 4 * 4_000


def test_members_of_an_earlier_record_are_shown_with_the_folders(place: Place, tmp_path: Path) -> None:
    """A benchmark that is run in parts, on machines that come and go."""
    first = place.run(members=entries(PRESET)[:2])
    file = keep(first, tmp_path)
    whole = as_text(place.run())
    for member in first.members:
        shutil.rmtree(place.folder / member.name)
    alone = place.record()
    assert [member.state for member in alone.members] == ["missing", "missing", "finished", "finished"]
    with pytest.raises(RecordError, match=r"digits\.json holds 2 members that are not here .*: give --earlier"):
        keep(alone, tmp_path)
    together = of_folder(place.folder, "digits", PRESET, alone.members, earlier=read_record(file))
    assert as_text(together) == whole
    assert set(together.grids) == {"hinge", "wgan"}
    assert as_text(read_record(keep(together, tmp_path))) == whole
    assert as_text(read_record(keep(read_record(file), tmp_path))) == whole  # onto itself


def test_a_grid_stays_that_of_the_first_seed(place: Place, tmp_path: Path) -> None:
    """Other seeds that are run later, on another machine, replace none of them by theirs."""
    first, second = entries(PRESET)[:2]
    assert (first.objective, first.seed, second.objective, second.seed) == ("hinge", 0, "hinge", 1)
    file = keep(place.run(members=[first]), tmp_path)
    shutil.rmtree(place.folder / first.name)
    place.run(members=[second])
    together = of_folder(place.folder, "digits", PRESET, place.record().members, earlier=read_record(file))
    assert together.grids == {"hinge": file.with_name("digits-hinge.png")}
    place.run(members=[first])
    both = of_folder(place.folder, "digits", PRESET, place.record().members, earlier=read_record(file))
    assert both.grids["hinge"].is_relative_to(place.folder / first.name)  # run anew


def test_members_under_different_protocols_are_not_compared(place: Place) -> None:
    place.run()
    run = place.folder / "wgan-seed1"
    text = (run / "result.json").read_text()
    ((key, _),) = read_result(run)["protocols"].items()
    (run / "result.json").write_text(text.replace(key, "0" * 12))
    with pytest.raises(RecordError, match=rf"hinge-seed0 \(protocol {key}\) and wgan-seed1 \(protocol 0+\)"):
        place.record()


def test_damaged_records_are_refused(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    write_record(place.run(), file)
    content = json.loads(file.read_text())
    with pytest.raises(RecordError, match="no record of a benchmark"):
        read_record(tmp_path / "absent.json")
    hinge = content["members"]["hinge-seed0"]
    for change, text in (
        ({"schema": 2}, "schema must be 1"),
        ({"measure": ""}, "measure must be a non-empty text"),
        ({"members": {"hinge-seed0": {**hinge, "state": "fine"}}}, "state must be finished or"),
        ({"members": {"hinge-seed0": {**hinge, "record": {}}}}, "member hinge-seed0: "),
        ({"protocols": {}}, "is not among protocols"),
    ):
        file.write_text(json.dumps(content | change))
        with pytest.raises(RecordError, match=text):
            read_record(file)


def test_the_page_says_how_many_runs_it_has_and_what_they_had_beside_the_recipe(place: Place) -> None:
    record = place.run(members=[entry for entry in entries(PRESET) if entry.name != "wgan-seed1"])
    assert "\nTwo objectives: 2 groups of 1 to 2 runs.\n" in page([record])
    own = {"--images": "400", "--model.lr": "0.0002", "--model.objective": "hinge"}
    members = [replace(m, record={**(m.record or {}), "overrides": own}) for m in record.members[:2]]
    assert "\nTwo objectives: 1 group of 2 runs. Unlike the recipe, all have `--images 400`.\n" in page(
        [replace(record, members=members)]
    )


def test_the_page_says_of_a_copy_that_it_is_one(place: Place) -> None:
    record = place.run()
    data = {"name": "CIFAR10", "fingerprint": next(iter(COPIES)), "split": "train", "images": 50_000}
    members = [replace(m, record={**(m.record or {}), "dataset": data}) for m in record.members]
    assert "\nTwo objectives: 2 groups of 2 runs. Its images here are re-encoded as JPEG, quality about 75.\n" in page(
        [replace(record, members=members)]
    )
    assert "JPEG" not in page([record])


def test_the_page_begins_with_what_came_out_of_each(place: Place) -> None:
    record = place.run()
    first = next(findings(record))
    text = page([record, replace(record, name="other")])
    assert f"In short:\n\n- [digits](#digits): {first}\n- [other](#other): {first}\n\n## digits\n" in text
    assert "In short" not in page([record])


def test_the_page_is_written_from_the_records(place: Place, tmp_path: Path) -> None:
    keep(place.run(), tmp_path)
    written = write(tmp_path)
    assert {file.name for file in written} == {
        "benchmark.md",
        *(f"digits-{name}.png" for name in ("curves", "heat", "samples")),
    }
    text = (tmp_path / "docs/benchmark.md").read_text()
    assert "| hinge, lr 0.0002, n_critic 1 | 2 finished | 10 +/- 0.71 | 10.5 +/- 0.71 |" in text
    assert "hinge comes first" in text
    assert "4 of 4 runs were trained to their end." in text
    for link in ("digits-curves.png", "digits-heat.png", "digits-samples.png"):
        assert f"](../reproductions/records/benchmark/{link})" in text
        assert (tmp_path / PLACE / link).is_file()
    assert page([read_record(tmp_path / PLACE / "digits.json")]) == text
    assert write(tmp_path) == []  # nothing is said to be written that stays as it was
