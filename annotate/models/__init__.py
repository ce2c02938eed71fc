"""The tables that everything rests on."""

from annotate.models.annotator import Annotator
from annotate.models.assignment import Assignment, QueuePlace
from annotate.models.audit import ApiToken, AuditEvent
from annotate.models.comparison import (
    Comparison,
    ComparisonResponse,
    Prompt,
    Reservation,
    Response,
)
from annotate.models.dataset import DatasetVersion, ImportJob, JobState, LabelRule
from annotate.models.preference import Preference
from annotate.models.project import Guideline, Membership, Project, Protocol
from annotate.models.quality import (
    Flag,
    Gold,
    GoldResult,
    QualificationAttempt,
    QualityAlarm,
    QualityPolicy,
    Review,
    Workbench,
)

__all__ = [
    "Annotator",
    "ApiToken",
    "Assignment",
    "AuditEvent",
    "Comparison",
    "ComparisonResponse",
    "DatasetVersion",
    "Flag",
    "Gold",
    "GoldResult",
    "Guideline",
    "ImportJob",
    "JobState",
    "LabelRule",
    "Membership",
    "Preference",
    "Project",
    "Prompt",
    "Protocol",
    "QualificationAttempt",
    "QualityAlarm",
    "QualityPolicy",
    "QueuePlace",
    "Reservation",
    "Response",
    "Review",
    "Workbench",
]
