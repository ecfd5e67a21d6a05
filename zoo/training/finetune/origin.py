"""What `--init_from` names, before its weights are read. No torch at import."""

from collections.abc import Collection
from pathlib import Path

from zoo.errors import UsageError, ZooError
from zoo.releases.card import read_card
from zoo.releases.find import locate, names_release
from zoo.runs.folder import CONFIG_FILE, RunDir
from zoo.runs.plain import read_settings
from zoo.training.words import Words


def source_name(words: Words) -> str | None:
    """The release, run or checkpoint that a `fit` is to start from, or None."""
    init_from = words.given.get("init_from", words.settings.get("init_from")) if words.subcommand == "fit" else None
    return None if init_from in (None, "", "null", "None") else str(init_from)


def with_source_recipe(words: Words, *, recipes: Collection[str]) -> Words:
    """The command line with the source's recipe, where none is named and the source tells one of `recipes`.

    Raises:
        UsageError: --init_from of a resumed run.
    """
    init_from = source_name(words)
    if init_from is not None and words.taken.get("ckpt_path", "auto") != "auto":
        raise UsageError(
            "--init_from starts a new run, --ckpt_path goes on with one: a fine-tuning run is resumed by --ckpt_path "
            "last alone, and keeps its weights"
        )
    run_dir = words.taken.get("run_dir")
    goes_on = run_dir is not None and RunDir(Path(run_dir)).last_checkpoint.is_file()
    # what goes on keeps the recipe that it began with
    recipe = None if init_from is None or "recipe" in words.taken or goes_on else recipe_of(init_from)
    return words.with_recipe(recipe) if recipe in recipes and recipe is not None else words


def recipe_of(name_or_path: str) -> str | None:
    """What the card of a release says, whatever its name is; what the config.yaml of a run says; else None."""
    if names_release(name_or_path):
        try:
            return str(read_card(locate(name_or_path))["recipe"])
        except ZooError:  # said when the weights are opened
            return None
    path = Path(name_or_path).expanduser()
    for folder in (path, path.parent.parent):
        config = folder / CONFIG_FILE
        if path.exists() and config.is_file():
            recipe = read_settings(config).get("recipe")
            return recipe if isinstance(recipe, str) else None
    return None
