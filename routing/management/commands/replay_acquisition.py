"""`replay_acquisition FILE`: labels that each query strategy needs, on recorded labels."""

import json
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from annotate.errors import ApplicationError
from annotate.formats.registry import AUTO, IMPORT_FORMATS
from modeling.encoder_names import LABELS, TFIDF
from routing.choices import POSTERIORS, STRATEGIES


class Command(BaseCommand):
    """Replay recorded human labels; no server and no rows of the database are needed."""

    help = "What each query strategy would have bought, and how many labels it saves over random."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        names = ", ".join(name.rsplit("-", 1)[0] for name in STRATEGIES)
        parser.add_argument("file", type=Path)
        parser.add_argument("--output", type=Path, help="JSON file; default: the screen")
        parser.add_argument("--format", default=AUTO, choices=[AUTO, *IMPORT_FORMATS])
        parser.add_argument("--strategies", default="", help=f"comma-separated; default: {names}")
        parser.add_argument("--batch-size", type=int, default=50)
        parser.add_argument("--initial", type=int, default=50, help="labels drawn at random first")
        parser.add_argument("--rounds", type=int, default=12)
        parser.add_argument("--seeds", type=int, default=20, help="paired over strategies")
        parser.add_argument("--encoder", default=TFIDF, choices=list(LABELS))
        parser.add_argument("--test-share", type=float, default=0.35, help="of the prompts")
        parser.add_argument("--posterior", default="laplace", choices=list(POSTERIORS))
        parser.add_argument(
            "--per-prompt-cap", type=int, default=1, help="most picks of a prompt; 0 for no cap"
        )
        parser.add_argument(
            "--beta", type=float, help="BAL-PM's weight of spread, in nats; default: calibrated"
        )
        parser.add_argument(
            "--logit-scale", type=float, help="prior sd of a typical logit; default: chosen"
        )
        parser.add_argument(
            "--random-share", type=float, default=0.0, help="of each batch, drawn at random"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        try:
            with tqdm(total=100, file=sys.stderr, disable=options["verbosity"] == 0) as bar:
                result = _replay(path, options, bar)
        except ApplicationError as error:
            raise CommandError(error.message) from error
        text = json.dumps(result, indent=1)
        if options["output"] is None:
            self.stdout.write(text)
            return
        options["output"].write_text(text + "\n")
        for line in _lines(result):
            self.stdout.write(line)


def _replay(path: Path, options: dict[str, Any], bar: "tqdm[Any]") -> dict[str, Any]:
    # Loaded here: listing the commands must stay quick.
    from routing.acquisition.recorded import recorded_pairs
    from routing.acquisition.replay import ReplaySettings, replay, split_strategies
    from routing.acquisition.replay_report import report_of

    def show(fraction: float, text: str) -> None:
        bar.set_description(text)
        bar.n = round(100 * fraction)
        bar.refresh()

    started = time.monotonic()
    settings = ReplaySettings(
        strategies=split_strategies(options["strategies"]),
        per_prompt_cap=options["per_prompt_cap"] or None,
        fair_share=bool(options["per_prompt_cap"]),
        **{
            name: options[name]
            for name in (
                "batch_size", "initial", "rounds", "seeds", "test_share", "posterior",
                "random_share", "beta", "logit_scale",
            )
        },
    )  # fmt: skip
    pairs = recorded_pairs(
        path, encoder=options["encoder"], format=options["format"], progress=show
    )
    curves = replay(pairs, settings, progress=show)
    return report_of(pairs, settings, curves, seconds=time.monotonic() - started)


def _lines(result: dict[str, Any]) -> list[str]:
    lines = [f"{result['n_comparisons']:,} comparisons, {result['n_prompts']:,} prompts"]
    for name, row in result["labels_to_match_random"].items():
        lead = result["lead_over_random"][name]["log_likelihood"]
        ratio = "not reached" if row["ratio"] is None else f"{row['ratio']:.2f}"
        high = "∞" if row["high"] is None else f"{row['high']:.2f}"
        low = "∞" if row["low"] is None else f"{row['low']:.2f}"
        lines.append(
            f"{name:20} labels to match random {ratio} [{low}, {high}]; "
            f"lead {lead['mean']:+.4f} nats"
        )
    return lines
