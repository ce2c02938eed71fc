"""The tables that everything rests on."""

from annotate.models.annotator import Annotator
from annotate.models.assignment import Assignment
from annotate.models.audit import ApiToken, AuditEvent
from annotate.models.comparison import Comparison, ComparisonResponse, Prompt, Response
from annotate.models.dataset import DatasetVersion, ImportJob, JobState, LabelRule
from annotate.models.preference import Preference
from annotate.models.project import Guideline, Membership, Project, Protocol

__all__ = [
    "Annotator",
    "ApiToken",
    "Assignment",
    "AuditEvent",
    "Comparison",
    "ComparisonResponse",
    "DatasetVersion",
    "Guideline",
    "ImportJob",
    "JobState",
    "LabelRule",
    "Membership",
    "Preference",
    "Project",
    "Prompt",
    "Protocol",
    "Response",
]
