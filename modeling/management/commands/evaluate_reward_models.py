"""`evaluate_reward_models FILE`: likelihoods and encoders compared on recorded labels."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from annotate.errors import ApplicationError
from annotate.formats.base import FormatError
from annotate.formats.registry import AUTO, IMPORT_FORMATS

DEFAULT_ENCODERS = "tfidf"
DEFAULT_SEEDS = 10
ROWS = ("accuracy", "log_loss", "ece")
SECTIONS = ("Chat", "Chat Hard", "Safety", "Reasoning")
NOT_KNOWN: dict[str, float | None] = dict.fromkeys(("mean", "low", "high"))


class Command(BaseCommand):
    """Compare reward models on the labels of a file; needs no server and no database."""

    help = "Compare likelihoods and encoders on one split by prompt, with intervals."
    # Nothing of the site is needed, so a broken page must not stop a study.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--output", type=Path, required=True, help="JSON to write")
        parser.add_argument("--likelihoods", default="all", help="names with commas, or all")
        parser.add_argument(
            "--encoders", default=DEFAULT_ENCODERS, help="names with commas: tfidf, minilm, counts"
        )
        parser.add_argument("--seeds", type=int, default=DEFAULT_SEEDS, help="splits by prompt")
        parser.add_argument("--seed", type=int, default=0, help="where the splits start")
        parser.add_argument("--labels", default="human", choices=["human", "judge", "both"])
        parser.add_argument(
            "--ood", type=Path, nargs="+", default=[], metavar="FILE",
            help="files that the same models are tested on: out-of-distribution sets",
        )  # fmt: skip
        parser.add_argument(
            "--rewardbench", type=Path, metavar="FILE",
            help="RewardBench's pairs (version 1): sections and score with its weights",
        )  # fmt: skip
        parser.add_argument("--format", default=AUTO, choices=[AUTO, *IMPORT_FORMATS])

    def handle(self, *args: Any, **options: Any) -> None:
        from modeling.core.types import InvalidInputError

        path: Path = options["file"]
        outside = [*options["ood"], *([options["rewardbench"]] if options["rewardbench"] else [])]
        for needed in (path, *outside):
            if not needed.is_file():
                raise CommandError(f"There is no file {needed}.")
        if options["seeds"] < 1:
            raise CommandError(f"--seeds must be at least 1; got {options['seeds']}.")
        try:
            result = _compared(path, options)
        except (ApplicationError, FormatError, InvalidInputError) as error:
            raise CommandError(str(error)) from error
        options["output"].parent.mkdir(parents=True, exist_ok=True)
        options["output"].write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        for line in table(result):
            self.stdout.write(line)


def table(result: dict[str, Any]) -> list[str]:
    """Write the figures as lines for a screen."""
    title = (
        f"{result['n_comparisons']:,} comparisons, {result['n_prompts']:,} prompts, "
        f"{result['n_seeds']} splits; {result['tested_on']}; trained on: {result['labels']}"
    )
    lines = [title, *_rows(result)]
    lines += [f"{name}: left out. {why}" for name, why in result["left_out"].items()]
    for name, found in result.get("ood", {}).items():
        lines += ["", f"Out of distribution: {name}, {_stands_on(found)}", *_rows(found)]
    for name, found in result.get("rewardbench", {}).items():
        lines += ["", f"RewardBench's pairs: {name}, {_stands_on(found)}", *_sections(found)]
    return lines


def _stands_on(found: dict[str, Any]) -> str:
    shared = found["n_shared_left_out"]
    left_out = f"; {shared:,} on prompts of the training file left out" if shared else ""
    return f"{found['n_pairs']:,} pairs on {found['n_prompts']:,} prompts{left_out}"


def _rows(found: dict[str, Any]) -> list[str]:
    lines = [f"{'':<30}{'accuracy':>22}{'log loss':>22}{'ECE':>22}"]
    for name, cell in {**found["models"], **found["baselines"]}.items():
        lines.append(f"{name:<30}" + "".join(f"{_figure(cell[row]):>22}" for row in ROWS))
    return lines


def _sections(found: dict[str, Any]) -> list[str]:
    lines = [f"{'':<30}" + "".join(f"{name:>22}" for name in (*SECTIONS, "score"))]
    for name, cell in {**found["models"], **found["baselines"]}.items():
        shown = [cell["sections"].get(section) for section in SECTIONS]
        figures = "".join(f"{_figure(own or NOT_KNOWN):>22}" for own in (*shown, cell["overall"]))
        lines.append(f"{name:<30}{figures}")
    return lines


def _figure(figure: dict[str, float | None]) -> str:
    mean, low, high = (figure[key] for key in ("mean", "low", "high"))
    if mean is None or low is None or high is None:
        return "not known"
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def _compared(path: Path, options: dict[str, Any]) -> dict[str, Any]:
    from modeling.comparison_study import LIKELIHOODS, StudyOptions, compare
    from modeling.outside_data import read_outside, read_reward_bench
    from modeling.recorded import read_recorded

    wanted = options["likelihoods"]
    likelihoods = tuple(LIKELIHOODS) if wanted == "all" else tuple(wanted.split(","))
    encoders = tuple(options["encoders"].split(","))
    study = StudyOptions(likelihoods, encoders, options["seeds"], options["labels"])
    recorded = read_recorded(path, options["format"])
    outside = [read_outside(own, recorded) for own in options["ood"]]
    if options["rewardbench"]:
        outside.append(read_reward_bench(options["rewardbench"], recorded))
    with tqdm(
        total=len(likelihoods) * len(encoders) * study.n_seeds,
        file=sys.stderr,
        disable=options["verbosity"] == 0,
    ) as bar:

        def say(text: str) -> None:
            bar.set_description(text)
            bar.update()

        return compare(recorded, study, outside=outside, seed=options["seed"], say=say)
