"""The demo project: original texts with simulated, plainly marked verdicts."""

import math
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from annotate.formats.base import ComparisonRecord, PreferenceRecord
from annotate.formats.native import write_line
from annotate.formats.registry import read_comparisons
from annotate.models import Membership, Project
from annotate.services.imports import ImportReport, comparisons_import
from annotate.services.projects import guideline_change, member_add, project_create

SLUG = "demo"
NAME = "Support answers (demo)"
FOLDER = Path(__file__).resolve().parent.parent / "demo"
SEED = 20_240_117
LABELLED_SHARE = 0.6
THIRD_SHARE = 0.25
OVERLAP = 2
BAD_QUALITY = 3.5
HIDDEN_METADATA = ("quality", "flaws")


@dataclass(frozen=True)
class SimulatedHuman:
    """A human who reads quality with some noise, at some pace."""

    name: str
    noise: float
    ms_per_character: float


HUMANS = (
    SimulatedHuman("simulated-person-1", noise=1.0, ms_per_character=26),
    SimulatedHuman("simulated-person-2", noise=1.8, ms_per_character=20),
    SimulatedHuman("simulated-person-3", noise=3.0, ms_per_character=12),
)


@transaction.atomic
def demo_load(*, seed: int = SEED) -> ImportReport:
    """Make the demo users and project, with part of it labelled; again changes nothing."""
    owner, annotator = (_user(name) for name in settings.DEMO_USERNAMES)
    project = Project.objects.filter(slug=SLUG).first() or _project(owner)
    member_add(
        project=project, actor=owner, username=annotator.username, role=Membership.Role.ANNOTATOR
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.jsonl"
        path.write_bytes(b"".join(write_line(record) for record in demo_records(seed=seed)))
        return comparisons_import(project=project, path=path, format="native")


def _user(username: str) -> User:
    user, is_new = User.objects.get_or_create(username=username)
    if is_new:
        user.set_password(settings.DEMO_PASSWORD)
        user.save(update_fields=["password"])
    return user


def _project(owner: User) -> Project:
    project = project_create(
        name=NAME,
        slug=SLUG,
        user=owner,
        description="Original texts; the verdicts in it are simulated and marked so.",
        is_demo=True,
        overlap=OVERLAP,
    )
    body = (FOLDER / "guideline.md").read_text(encoding="utf-8")
    guideline_change(project=project, user=owner, body=body)
    return project


def demo_records(*, seed: int) -> Iterator[ComparisonRecord]:
    """Yield the demo's comparisons with simulated verdicts; one seed, one outcome."""
    rng = random.Random(seed)
    for record in read_comparisons(FOLDER / "comparisons.jsonl", "native"):
        verdicts = (*_human_verdicts(record, rng), *_judge_verdicts(record, rng))
        metadata = {k: v for k, v in record.metadata.items() if k not in HIDDEN_METADATA}
        yield replace(record, metadata=metadata, preferences=verdicts)


def _qualities(record: ComparisonRecord) -> tuple[float, float]:
    first, second = (record.metadata["quality"][r.external_id] for r in record.responses)
    return float(first), float(second)


def _human_verdicts(record: ComparisonRecord, rng: random.Random) -> Iterator[PreferenceRecord]:
    if rng.random() >= LABELLED_SHARE:
        return
    n_humans = 3 if rng.random() < THIRD_SHARE else 2
    for human in rng.sample(HUMANS, n_humans):
        yield _human_verdict(record, human, rng)


def _human_verdict(
    record: ComparisonRecord, human: SimulatedHuman, rng: random.Random
) -> PreferenceRecord:
    first, second = (quality + rng.gauss(0, human.noise) for quality in _qualities(record))
    length = sum(len(response.text) for response in record.responses)
    verdict = PreferenceRecord(
        annotator=human.name,
        kind="human",
        verdict="both_bad",
        shown_order=_shown_order(rng),
        active_ms=round(length * human.ms_per_character * rng.lognormvariate(0, 0.4)),
        is_simulated=True,
    )
    if max(first, second) < BAD_QUALITY:
        return verdict
    lead = second - first
    size = 0 if abs(lead) < 1 else 1 if abs(lead) < 4 else 2
    return _decided(verdict, math.copysign(size, lead))


def _decided(verdict: PreferenceRecord, strength: float) -> PreferenceRecord:
    if strength == 0:
        return verdict._replace(verdict="tie", ranking=(0, 0), strength=0.0)
    ranking = (0, 1) if strength < 0 else (1, 0)
    return verdict._replace(verdict="ranked", ranking=ranking, strength=float(strength))


def _shown_order(rng: random.Random) -> tuple[int, int]:
    return (0, 1) if rng.random() < 0.5 else (1, 0)


Lead = Callable[[ComparisonRecord, tuple[int, int], random.Random], float]


def _careful_lead(
    record: ComparisonRecord, shown_order: tuple[int, int], rng: random.Random
) -> float:
    """Mostly right, but fond of length."""
    first, second = _qualities(record)
    length_a, length_b = (len(response.text) for response in record.responses)
    return second - first + 1.2 * math.log(length_b / length_a) + rng.gauss(0, 1.5)


def _hasty_lead(
    record: ComparisonRecord, shown_order: tuple[int, int], rng: random.Random
) -> float:
    """Half blind, and fond of what it reads first."""
    first, second = _qualities(record)
    first_shown_bonus = -1.5 if shown_order == (0, 1) else 1.5
    return 0.4 * (second - first) + first_shown_bonus + rng.gauss(0, 2.5)


JUDGES: tuple[tuple[str, Lead], ...] = (
    ("simulated-judge-careful", _careful_lead),
    ("simulated-judge-hasty", _hasty_lead),
)


def _judge_verdicts(record: ComparisonRecord, rng: random.Random) -> Iterator[PreferenceRecord]:
    for name, lead_of in JUDGES:
        shown_order = _shown_order(rng)
        lead = lead_of(record, shown_order, rng)
        verdict = PreferenceRecord(
            annotator=name,
            kind="judge",
            verdict="tie",
            probability=round(1 / (1 + math.exp(lead / 2)), 4),
            shown_order=shown_order,
            is_simulated=True,
        )
        decided = _decided(verdict, 0 if abs(lead) < 0.4 else lead)
        yield decided._replace(strength=None)
