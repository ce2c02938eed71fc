"""The tables that everything rests on."""

from annotate.models.annotator import Annotator
from annotate.models.assignment import Assignment, QueuePlace
from annotate.models.audit import ApiToken, AuditEvent
from annotate.models.comparison import (
    Comparison,
    ComparisonResponse,
    Prompt,
    RenderedComparison,
    Reservation,
    Response,
)
from annotate.models.dataset import DatasetVersion, ImportJob, JobState, LabelRule
from annotate.models.explorer import (
    BulkChange,
    BulkChangeRow,
    ComparisonFigures,
    FiguresPlace,
    SavedView,
)
from annotate.models.kept_answer import KeptAnswer
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
from annotate.models.transfer import DataJob, ExportJob, FreezeJob
from annotate.models.webhook import EventPlace, Webhook, WebhookAttempt, WebhookDelivery

__all__ = [
    "Annotator",
    "ApiToken",
    "Assignment",
    "AuditEvent",
    "BulkChange",
    "BulkChangeRow",
    "Comparison",
    "ComparisonFigures",
    "ComparisonResponse",
    "DataJob",
    "DatasetVersion",
    "EventPlace",
    "ExportJob",
    "FiguresPlace",
    "Flag",
    "FreezeJob",
    "Gold",
    "GoldResult",
    "Guideline",
    "ImportJob",
    "JobState",
    "KeptAnswer",
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
    "RenderedComparison",
    "Reservation",
    "Response",
    "Review",
    "SavedView",
    "Webhook",
    "WebhookAttempt",
    "WebhookDelivery",
    "Workbench",
]
