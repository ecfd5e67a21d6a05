"""`zoo wandb-push`: runs at W&B, rebuilt from their local records (push.py), releases as artifacts, and a report.

Records come back from there by pull.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.errors import UsageError
from zoo.releases.find import names_release
from zoo.runs.folder import RunDir
from zoo.runs.text import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders, or releases (as artifacts)")
    parser.add_argument("--project", default="lightning-gan-zoo", help="default: %(default)s")
    parser.add_argument("--again", action="store_true", help="push all of it as a new W&B run")
    parser.add_argument("--artifacts", action="store_true", help="best.ckpt and last.ckpt, too, as artifacts")
    parser.add_argument("--report", action="store_true", help="lay out a report on these runs, by paper, at W&B")


def run(arguments: argparse.Namespace) -> None:
    """Rebuilds runs at W&B from their local records."""
    from zoo.commands.compare.reading import read_run
    from zoo.commands.wandb.push import mirrored, project_at, push
    from zoo.commands.wandb.report import push_report, refuse_report

    project = arguments.project
    if arguments.report:
        refuse_report()
        places = [Path(name) for name in arguments.runs if not names_release(name)]
        projects = {project_at(path, project=project, again=arguments.again) for path in places}
        if len(projects) > 1:
            raise UsageError(f"a report is of one W&B project, and these runs are in {', '.join(sorted(projects))}")
        project = next(iter(projects), project)
    runs = []
    for name in arguments.runs:
        if names_release(name):
            from zoo.commands.wandb.artifacts import push_release

            say(push_release(name, project=arguments.project))
        else:
            path = Path(name)
            if not (arguments.report and mirrored(RunDir(path), read_run(path).config)):  # else it is there
                say(push(path, project=arguments.project, again=arguments.again, artifacts=arguments.artifacts))
            runs.append(path)
    if arguments.report:
        say(f"report: {push_report([read_run(path) for path in runs], project=project)}")
