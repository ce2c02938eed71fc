"""`evaluate_judges FILE`: recorded judges against people, without a server or a database row."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotate.formats.base import FormatError
from annotate.formats.registry import AUTO, IMPORT_FORMATS, read_comparisons
from modeling.models_gates import JudgeGate
from modeling.services.judge_gates import gate_reasons

Figures = dict[str, Any]

BOUNDS = {
    "min_accuracy": "lower end of the accuracy's interval",
    "min_kappa": "lower end of kappa's interval",
    "max_first_position_bias": "distance of the first-position share from one half",
    "max_conflict": "share of comparisons whose orders disagree",
    "max_ece": "calibration error",
    "max_parse_failures": "share of questions without a parsable reply",
}
COLUMNS = ("n", "accuracy", "kappa", "order_consistency", "ece")
RANKING_COLUMNS = ("n", "n_pairs", "accuracy", "kappa", "tau")


class Command(BaseCommand):
    """Accuracy, kappa, order and calibration of every judge in a file, and whether it qualifies."""

    help = (
        "Measure the recorded judges of a file against its people: truth is the strict human "
        "majority in three classes, intervals resample whole prompts, calibration error is that "
        "of one half of the prompts calibrated by the other."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--output", type=Path, help="where the JSON goes")
        parser.add_argument("--format", default=AUTO, choices=[AUTO, *IMPORT_FORMATS])
        gate = JudgeGate()
        parser.add_argument(
            "--min-n", type=int, default=gate.min_n, help="verdicts beside a human majority"
        )
        for name, text in BOUNDS.items():
            option = f"--{name.replace('_', '-')}"
            parser.add_argument(option, type=float, default=getattr(gate, name), help=text)

    def handle(self, *args: Any, **options: Any) -> None:
        # The numeric libraries are loaded for the work only, not for `--help`.
        from modeling.judge_bench import bench
        from modeling.judge_votes import votes_of_records

        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        gate = JudgeGate(**{name: options[name] for name in ("min_n", *BOUNDS)})
        try:
            table = votes_of_records(read_comparisons(path, options["format"]))
        except FormatError as error:
            raise CommandError(str(error)) from error
        judges = {
            name: _row(figures, table.n_unparsed.get(name, 0), gate)
            for name, figures in bench(table).items()
        }
        report = {"n_comparisons": table.n_comparisons, "judges": judges}
        if options["output"] is not None:
            options["output"].write_text(json.dumps(report, indent=2) + "\n")
        self.stdout.write(_words(report))


def _row(figures: Figures, n_unparsed: int, gate: JudgeGate) -> Figures:
    accuracy = figures["accuracy"]
    reason = " ".join(gate_reasons(figures, gate))
    ranked = {"rankings": _ranked(figures["rankings"])} if figures["rankings"] else {}
    return {
        "n": figures["n_compared"],
        "accuracy": accuracy["estimate"],
        "low": accuracy["low"],
        "high": accuracy["high"],
        "kappa": figures["kappa"]["estimate"],
        "order_consistency": figures["order_consistency"]["estimate"],
        "first_position_share": figures["first_position"]["estimate"],
        "ece": figures["ece"]["estimate"],
        "parse_failures": n_unparsed,
        "qualified": not reason,
        "reason": reason,
        **ranked,
    }


def _ranked(figures: Figures) -> Figures:
    """A judge's figures on more than two responses, over the pairs that rankings imply."""
    return {
        "n": figures["n_compared"],
        "n_pairs": figures["n_pairs"],
        "accuracy": figures["accuracy"]["estimate"],
        "low": figures["accuracy"]["low"],
        "high": figures["accuracy"]["high"],
        "kappa": figures["kappa"]["estimate"],
        "tau": figures["tau"]["estimate"],
        "conflict": figures["conflict"]["estimate"],
    }


def _words(report: Figures) -> str:
    lines = [f"{report['n_comparisons']:,} comparisons, {len(report['judges'])} judges"]
    for name, row in report["judges"].items():
        told = ", ".join(f"{column} {_number(row[column])}" for column in COLUMNS)
        if "rankings" in row:
            ranked = ((column, row["rankings"][column]) for column in RANKING_COLUMNS)
            told += "; rankings: " + ", ".join(f"{name} {_number(value)}" for name, value in ranked)
        lines.append(f"{name}: {told}; {'qualified' if row['qualified'] else row['reason']}")
    return "\n".join(lines)


def _number(value: float | int | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
