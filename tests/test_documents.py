"""README, CONTRIBUTING, docs and notebooks: links, commands, snippets, and the code that the pages quote."""

import argparse
import functools
import inspect
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import (
    DOCUMENTS,
    NOTEBOOKS,
    PAGES,
    ROOT,
    anchors,
    blocks,
    commands,
    links,
    markdown_of,
    mentions,
    prose,
    section,
    spans,
    tables,
)
from parsers import parser_of

import zoo.data
from zoo.__main__ import parser as zoo_parser
from zoo.commands.references import papers, with_references
from zoo.commands.results.results import Result, Value
from zoo.errors import UsageError, ZooError
from zoo.models import MODELS, TRAINED
from zoo.models.base.build import outline
from zoo.releases.find import SHIPPED, list_pretrained
from zoo.training.idle import refuse_idle
from zoo.training.plan import make_plan
from zoo.training.scripts import script_of
from zoo.training.study import Member, Study
from zoo.training.words import Words

SHARED = [
    ROOT / "zoo" / f"{name}.py"
    for name in ("models/base/module", "models/base/growing", "nn/losses", "nn/layers", "nn/schedules")
]
EXAMPLE = "rgan"  # of CONTRIBUTING: there is no such file here, see test_contributing.py


def name_of(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("file", [*DOCUMENTS, *NOTEBOOKS], ids=name_of)
def test_links_within_the_repository_lead_somewhere(file: Path) -> None:
    text = markdown_of(file) if file.suffix == ".ipynb" else file.read_text()
    for link in links(text):
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), f"{file.name}: {link}"
        assert target.is_relative_to(ROOT), f"{file.name}: {link} leaves the repository"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text()), f"{file.name}: {link}"


@pytest.mark.parametrize("file", DOCUMENTS, ids=name_of)
def test_files_that_are_named_exist(file: Path) -> None:
    for span in spans(file.read_text()):
        path = span.partition(" ")[0].rstrip("/")
        if re.fullmatch(r"(zoo|reproductions|tests|docs|benchmarks|notebooks)/[\w./]+", path) and EXAMPLE not in path:
            assert (ROOT / path).exists(), f"{file.name}: {span}"


@pytest.mark.parametrize("file", DOCUMENTS, ids=name_of)
def test_tables_are_whole(file: Path) -> None:
    """A stray | within a cell, as of a formula, cuts it in two."""
    for head, *rows in tables(file.read_text()):
        for row in rows:
            assert len(row) == len(head), f"{file.name}: {row}"
    for formula in re.findall(r"\$([^$\n]+)\$", prose(file.read_text())):
        assert formula.count("{") == formula.count("}"), f"{file.name}: {formula}"
        assert not re.search(r"\\[{}|,;!#]", formula), f"{file.name}: Markdown eats the backslash of {formula}"


# Commands.


def check_script(words: list[str]) -> None:
    """`python reproductions/PAPER.py ...` up to the data it would read."""
    assert Path(words[0]).stem in MODELS, f"there is no {words[0]}"
    check_paper(Path(words[0]).stem, words[1:])


def check_paper(paper: str, words: list[str]) -> None:
    """A paper's own command line."""
    read, script = Words.of(words), script_of(paper)
    if read.subcommand == "study":
        assert set(read.taken.get("members", "").split(",")) - {""} <= script.studies[read.taken["name"]].members.keys()
        read = Words.of(["fit", *read.rest])
    source = read.given.get("init_from")
    assert source is None or source in (*list_pretrained(), "RUN") or source.endswith(".ckpt"), source
    run_dir = read.taken.get("run_dir")
    if run_dir and (read.subcommand != "fit" or "ckpt_path" in read.taken):  # a run that is there
        recipe = next((part for part in Path(run_dir).parts if part in script.recipes), "digits")
        settings = {**script.recipes[recipe].config, "recipe": recipe}
        Path(run_dir).mkdir(parents=True, exist_ok=True)
        (Path(run_dir) / "config.yaml").write_text(yaml.safe_dump(settings))
    plan = make_plan(read, paper=paper, recipes=script.recipes)
    config = f"--config={yaml.safe_dump(dict(plan.base))}"
    settings = parser_of(paper, plan.subcommand).parse_args([config, *plan.words.rest])
    if plan.subcommand == "fit" and not plan.goes_on:
        refuse_idle(TRAINED[paper], settings["model"].as_dict(), chosen=plan.named)


def differing(study: Study) -> Iterator[Member]:
    """Members of a study, one of each kind: those that set the same options, whatever to."""
    seen = set()
    for member in study.members.values():
        kind = (member.paper, *(option.partition("=")[0].rstrip("0123456789") for option in member.options))
        if kind not in seen:
            seen.add(kind)
            yield member


@pytest.mark.parametrize("paper", [paper for paper in MODELS if script_of(paper).studies])
def test_members_of_studies_are_runs_that_can_begin(paper: str) -> None:
    """Their options are known, and the networks can be made of them."""
    for study in script_of(paper).studies.values():
        for member in differing(study):
            own = member.paper or paper
            options = [option.replace("{study}/source", "RUN") for option in (*study.options, *member.options)]
            plan = make_plan(Words.of(["fit", *options]), paper=own, recipes=script_of(own).recipes)
            config = f"--config={yaml.safe_dump(dict(plan.base))}"
            settings = parser_of(own, "fit").parse_args([config, *plan.words.rest])["model"].as_dict()
            outline(MODELS[own], settings)
            refuse_idle(MODELS[own], settings, chosen=plan.named)


def check_zoo(words: list[str]) -> None:
    """`python -m zoo ...`, and that papers and releases of that name exist."""
    arguments = zoo_parser().parse_args(words)
    if words[0] in ("fit", "test", "predict", "study"):
        check_paper(arguments.paper, [words[0], *arguments.options])
    named = {"papers": "papers", "diff": "first second"}.get(words[0], "")
    for value in (getattr(arguments, name) for name in named.split()):
        for paper in [value] if isinstance(value, str) else value:
            assert paper.partition(":")[0] in MODELS, words
    for word in words[1:]:
        if re.fullmatch(rf"({'|'.join(MODELS)})\.\w+", word):
            assert word in list_pretrained(), f"there is no release {word}"


@functools.cache  # pages share commands
def check(command: str) -> None:
    """That a line of a page is a command that exists, with its options."""
    words = shlex.split(command.replace("RUN...", "RUN"))
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    program = words[0].removeprefix(".venv/bin/")
    if program == "make":
        targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in words[1:] if "=" not in word} <= {*targets}, command
    elif program == "zoo" or words[1:3] == ["-m", "zoo"]:
        check_zoo(words[1:] if program == "zoo" else words[3:])
    elif program == "python" and words[1].startswith("reproductions/"):
        check_script(words[1:])
    elif program == "python":
        files = [word for word in words if word.endswith(".py")]
        assert files, command
        assert all((ROOT / file).is_file() for file in files), command
    else:
        assert program in ("git", "cd", "pip", "export", "source", "wandb", "fidelity"), (
            f"an unknown command: {command}"
        )


@pytest.mark.parametrize("file", DOCUMENTS, ids=name_of)
def test_commands_are_known_with_their_options(file: Path) -> None:
    """Every command of a page is read by the parser that would run it; nothing is run."""
    for command in dict.fromkeys(commands(file.read_text())):
        if "nonsense" in command:  # README shows how the recipes are listed
            with pytest.raises(UsageError, match="unknown recipe"):
                check(command)
        elif f"/{EXAMPLE}.py" not in command:
            try:
                check(command)
            except (SystemExit, argparse.ArgumentError, ZooError, KeyError) as error:
                pytest.fail(f"{file.name}: {command}: {error!r}")


@pytest.mark.parametrize("file", [file for file in DOCUMENTS if "```sh" in file.read_text()], ids=name_of)
def test_shell_scripts_are_of_the_shell(file: Path) -> None:
    """bash reads each without running it."""
    for script in re.findall(r"```(?:sh|bash)\n(.*?)```", file.read_text(), re.DOTALL):
        read = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, ""), script


@pytest.mark.parametrize("file", [*DOCUMENTS, *NOTEBOOKS], ids=name_of)
def test_commands_that_are_mentioned_exist(file: Path) -> None:
    """Those without arguments by their name alone."""
    (subcommands,) = (a.choices for a in zoo_parser()._actions if isinstance(a, argparse._SubParsersAction))
    for mention in mentions(markdown_of(file) if file.suffix == ".ipynb" else file.read_text()):
        words = mention.split()
        if words[1:3] == ["-m", "zoo"] and len(words) == 4:
            assert words[3] in subcommands, f"{file.name}: {mention}"
        else:
            check(mention)


def test_a_wrong_command_is_found() -> None:
    check("python reproductions/wgan.py fit --recipe digits --model.clip 0.02")
    for wrong in (
        "python reproductions/wgan.py fit --recipe digits --model.clipp 0.02",
        "python reproductions/wgan.py fit --recipe digits --model.clip_when later",
        "python -m zoo sample dcgan.mnist --colour red",
        "python -m zoo",
    ):
        with pytest.raises((SystemExit, argparse.ArgumentError)):
            check(wrong)
    with pytest.raises(UsageError):
        check("python reproductions/wgan.py fit --recipe digit")
    for wrong in ("make cofee", "python reproductions/vae.py fit", "python -m zoo sample dcgan.letters", "rm RUN"):
        with pytest.raises(AssertionError):
            check(wrong)
    with pytest.raises(KeyError):
        check("python reproductions/wgan.py study --name mnits")


@pytest.mark.parametrize(
    "file",
    # those are tested on their own: a tenth paper, files that an export writes, and what lies at the Hub
    [file for file in DOCUMENTS if file.name not in ("CONTRIBUTING.md", "export.md", "hub.md")],
    ids=name_of,
)
def test_python_snippets_run(file: Path) -> None:
    """Top to bottom, each document in one namespace."""
    names: dict[str, object] = {"__name__": "snippet"}
    for block in blocks(file.read_text()):
        if block.language == "python":
            exec(compile(block.text, f"{file.name}, a snippet", "exec"), names)


# The pages of papers.


def page_of(paper: str) -> Path:
    """A paper's page; skips where it is not written yet."""
    page = ROOT / f"docs/{paper}.md"
    if not page.is_file():
        pytest.skip(f"docs/{paper}.md is not written yet: step 7 of CONTRIBUTING.md says what goes into it")
    return page


@pytest.mark.parametrize("paper", MODELS)
def test_a_papers_page_quotes_its_code(paper: str) -> None:
    """Each line of code in the box occurs in a file that the page links, or in the shared ones."""
    page = page_of(paper)
    text = page.read_text()
    assert f"({page.name})" in (ROOT / "docs/README.md").read_text()
    assert f"arxiv.org/abs/{papers()[paper].reference.arxiv}" in text
    files = [*SHARED, *((page.parent / link) for link in links(text) if link.endswith(".py"))]
    assert ROOT / f"zoo/models/{paper}.py" in [file.resolve() for file in files]
    source = "".join("".join(file.read_text().split()) for file in files)
    quoted = [span for table in tables(section(text, "The box")) for row in table[1:] for span in spans(row[-1])]
    assert len(quoted) >= 6
    for code in quoted:
        assert "".join(code.split()) in source, f"{page.name} quotes what is not in the code: {code}"


@pytest.mark.parametrize("paper", MODELS)
def test_a_papers_page_names_options_and_sizes_that_exist(paper: str) -> None:
    text = page_of(paper).read_text()
    assert len(commands(text)) >= 5
    known = inspect.signature(MODELS[paper].__init__).parameters
    for option in re.findall(r"--model\.(\w+)", text):
        assert option in known, f"docs/{paper}.md: --model.{option}"
    tests = "".join(path.read_text() for path in (ROOT / "tests/models").glob("test_*.py"))
    for number in re.findall(r"\d{1,3}(?:,\d{3}){2,}", section(text, "Networks and constants")):
        assert number.replace(",", "_") in tests, f"docs/{paper}.md: no test counts {number} parameters"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text()
    assert {page.name for page in PAGES} - {"README.md"} <= set(links(index))


def test_what_runs_cost() -> None:
    """Runs of a recipe on one machine in one row; other machines apart."""
    from zoo.commands.results.tables import page_tables

    def run(rate: float, seconds: float, gpus: list[str], *options: str) -> dict[str, Any]:
        hardware = {"cpu": "A CPU", "cores": 2, "gpus": gpus}
        return {"recipe": "mnist", "precision": "32-true", "images_seen": 1_000, "hardware": hardware} | {
            "images_per_second": rate,
            "wall_time_s": seconds,
            "commands": [["python", "reproductions/gan.py", "fit", "--recipe=mnist", "--images=1000", *options]],
        }

    known: Any = {"data": "MNIST", "images": 1_000, "seeds": (0,), "commits": ("abc",), "protocol": "def"}
    row = (Result("gan", "mnist", measure="fd", best=Value(1.0), last=Value(2.0), **known),)
    text = page_tables([row], [run(10.4, 95, []), run(12, 80, []), run(900, 1.2, ["A GPU"])])
    assert "| mnist | MNIST | fd | 1 | 2 | 1,000 | 0 | abc | def |" in text
    assert "| mnist | 2 | 1,000 | 10 to 12 | 0:01:20 to 0:01:35 | 32-true | A CPU, 2 cores |" in text
    assert "| mnist | 1 | 1,000 | 900 | 0:00:01 | 32-true | A GPU |" in text
    text = page_tables([row], [run(10, 95, []), run(20, 40, [], "--model.width", "32")])
    assert "| mnist --model.width 32 | 1 | 1,000 | 20 |" in text
    drawn = [run(10 * i, 40, [], "--model.architecture_seed", str(i)) for i in (1, 2)]
    assert "| mnist | 2 | 1,000 | 10 to 20 |" in page_tables([row], drawn)
    assert "No run is recorded" in page_tables([row], [])


# Citation and licences.


def test_each_paper_is_cited_in_full() -> None:
    references = yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"]
    known = papers()
    for (name, paper), entry in zip(known.items(), references, strict=True):
        assert entry["identifiers"][0]["value"] == f"arXiv:{paper.reference.arxiv}"
        assert (entry["title"], entry["year"]) == (paper.reference.title, paper.reference.year)
        assert entry.get("collection-title") == paper.reference.venue
        authors = [f"{author['family-names']}, {author['given-names']}" for author in entry["authors"]]
        assert authors == list(paper.reference.authors)
        page = ROOT / f"docs/{name}.md"
        for author in entry["authors"]:  # the page names them all, where there is one
            assert author["family-names"] in (page.read_text() if page.is_file() else author["family-names"])


def test_readme_and_citations_are_written_from_the_references() -> None:
    files = (ROOT / "README.md", ROOT / "CITATION.cff")
    written = with_references({}, ROOT)
    assert list(written) == list(files)
    assert [written[file] for file in files] == [file.read_text() for file in files]


def test_licences_are_those_that_the_code_states() -> None:
    text = (ROOT / "docs/licences.md").read_text()
    modules = [getattr(zoo.data, name) for name in zoo.data.__all__]
    named = {module.__name__: module.licence for module in modules if isinstance(getattr(module, "licence", None), str)}
    assert len(named) >= 6
    for name, licence in named.items():
        assert f"| `{name}` | {licence} |" in text, f"docs/licences.md has no row `{name}` with this licence: {licence}"
    for card in SHIPPED.glob("*/card.json"):
        assert yaml.safe_load(card.read_text())["data"]["licence"] in named.values()
