"""What pages and the API read about how judges were measured; no numeric library."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotate.models import Project
from modeling.models import Judge, JudgeAlarm, JudgeCalibration, JudgeGate, JudgePanel
from modeling.selectors import Figure, JudgeFigures, judge_accuracy
from modeling.services.judge_gates import Qualification, gate_of, qualification

CALIBRATION_WORDS = {
    "stated": "its own word (stated probability or strength)",
    "signals": "strength, own probability, orders and the other judges together",
    "slices": "strength, own probability, orders and the other judges together, with an offset for "
    "each slice",
}
MAP_WORDS = {
    "identity": "unchanged",
    "temperature": "with one temperature",
    "platt": "with Platt scaling",
    "beta": "with a beta map",
    "isotonic": "with an isotonic map",
}


@dataclass(frozen=True)
class SliceFigures:
    """A judge on one slice of the comparisons."""

    name: str
    n: int
    accuracy: Figure | None
    kappa: Figure | None


@dataclass(frozen=True)
class RankingFigures:
    """A judge on more than two responses, over the pairs that rankings imply."""

    n_compared: int
    n_pairs: int
    accuracy: Figure | None
    kappa: Figure | None
    tau: Figure | None
    conflict: Figure | None

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None) -> RankingFigures | None:
        """Read what the bench stored; ``None`` where the judge ranked nothing."""
        if not stored:
            return None
        figures = {
            name: Figure.read(stored[name]) for name in ("accuracy", "kappa", "tau", "conflict")
        }
        return cls(stored["n_compared"], stored["n_pairs"], **figures)


@dataclass(frozen=True)
class JudgeBench:
    """Everything measured about one judge, and whether it may get routed work."""

    figures: JudgeFigures
    order_consistency: Figure | None
    ece: Figure | None
    ece_floor: float | None
    parse_failures: Figure | None
    latency_ms: Mapping[str, Any] | None
    tokens_per_label: float | None
    usd_per_label: float | None
    slices: Sequence[SliceFigures]
    rankings: RankingFigures | None
    reliability: Sequence[Mapping[str, Any]]
    qualification: Qualification
    alarms: Sequence[JudgeAlarm]

    @property
    def judge(self) -> Judge:
        """The judge."""
        return self.figures.judge

    @property
    def is_panel(self) -> bool:
        """Whether it is made of other judges."""
        return bool(self.judge.provider == Judge.Provider.PANEL)


@dataclass(frozen=True)
class CalibrationFacts:
    """The map that stands, in words, and what else was tried."""

    number: int
    n: int
    n_prompts: int
    source: str
    method: str
    is_taught: bool
    tried: Sequence[tuple[str, float, bool]]


@dataclass(frozen=True)
class PanelMember:
    """One judge of a panel: what its verdict adds, and what was taken off for repetition."""

    name: str
    weight: float | None
    discount: float | None


@dataclass(frozen=True)
class PanelFacts:
    """How a panel weighs its members."""

    method: str
    n_gold: int
    members: Sequence[PanelMember]
    best_member: str
    above_best: Figure | None


def judge_benches(project: Project) -> list[JudgeBench]:
    """Every judge with all its figures, the most accurate first."""
    gate = gate_of(project)
    alarms: defaultdict[int, list[JudgeAlarm]] = defaultdict(list)
    for alarm in open_alarms(project):
        alarms[alarm.judge_id].append(alarm)
    return [_bench(figures, gate, alarms[figures.judge.pk]) for figures in judge_accuracy(project)]


def judge_bench(judge: Judge) -> JudgeBench | None:
    """One judge with all its figures; ``None`` where it is inactive."""
    found = [row for row in judge_benches(judge.annotator.project) if row.judge.pk == judge.pk]
    return found[0] if found else None


def open_alarms(project: Project) -> list[JudgeAlarm]:
    """Alarms that the owner has not resolved, the newest first."""
    rows = JudgeAlarm.objects.filter(judge__annotator__project=project, resolved_at__isnull=True)
    return list(rows.select_related("judge__annotator"))


def slice_rows(benches: Sequence[JudgeBench]) -> list[tuple[str, list[SliceFigures | None]]]:
    """One row per slice with a cell for every judge."""
    by_name: dict[str, dict[int, SliceFigures]] = defaultdict(dict)
    for bench in benches:
        for part in bench.slices:
            by_name[part.name][bench.judge.pk] = part
    return [
        (name, [cells.get(bench.judge.pk) for bench in benches])
        for name, cells in sorted(by_name.items())
    ]


def calibration_facts(judge: Judge) -> CalibrationFacts | None:
    """The newest map of a judge in words; ``None`` before the first measurement."""
    row = JudgeCalibration.objects.filter(judge=judge).order_by("-number").first()
    if row is None:
        return None
    losses: dict[str, float] = row.state["held_out_log_loss"]
    chosen = f"{row.state['source']}+{row.state['method']}"
    return CalibrationFacts(
        number=row.number,
        n=row.n,
        n_prompts=row.n_prompts,
        source=CALIBRATION_WORDS[row.state["source"]],
        method=MAP_WORDS[row.state["method"]],
        is_taught=bool(losses),
        tried=[
            (_candidate_words(name), loss, name == chosen)
            for name, loss in sorted(losses.items(), key=lambda item: item[1])
        ],
    )


def panel_facts(judge: Judge) -> PanelFacts | None:
    """How a panel weighs its members; ``None`` for a single judge or an unweighed panel."""
    panel = JudgePanel.objects.filter(judge=judge).first()
    if panel is None or not panel.report.get("weights"):
        return None
    report = panel.report
    rows = zip(report["names"], report["weights"], report["discounts"], strict=True)
    return PanelFacts(
        method=str(dict(JudgePanel.Method.choices).get(report["method"], "Its best member alone")),
        n_gold=report["n_gold"],
        members=[PanelMember(*row) for row in rows],
        best_member=report.get("best_member") or "",
        above_best=Figure.read(report.get("above_best")),
    )


def _candidate_words(name: str) -> str:
    source, method = name.split("+")
    short = {"stated": "Own word", "signals": "All signals", "slices": "All signals and slices"}
    return f"{short[source]}, {MAP_WORDS[method]}"


def _bench(figures: JudgeFigures, gate: JudgeGate, alarms: Sequence[JudgeAlarm]) -> JudgeBench:
    measured = figures.judge.measured
    return JudgeBench(
        figures=figures,
        order_consistency=Figure.read(measured.get("order_consistency")),
        ece=Figure.read(measured.get("ece")),
        ece_floor=measured.get("ece_floor"),
        parse_failures=Figure.read(measured.get("parse_failures")),
        latency_ms=measured.get("latency_ms"),
        tokens_per_label=measured.get("tokens_per_label"),
        usd_per_label=measured.get("usd_per_label"),
        slices=[_slice(part) for part in measured.get("slices", [])],
        rankings=RankingFigures.read(measured.get("rankings")),
        reliability=measured.get("reliability", []),
        qualification=qualification(measured, gate, alarms),
        alarms=alarms,
    )


def _slice(part: Mapping[str, Any]) -> SliceFigures:
    name = part["name"].replace("=", ": ", 1)
    return SliceFigures(name, part["n"], Figure.read(part["accuracy"]), Figure.read(part["kappa"]))
