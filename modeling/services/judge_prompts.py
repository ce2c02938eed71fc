"""Prompts that owners write: every change is a version, and shown on a real comparison first."""

import json
from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from annotate.errors import ApplicationError
from annotate.models import Comparison, Project
from annotate.services.audit import audit_write
from modeling.core.judge_templates import (
    PromptTemplate,
    TemplateError,
    template_check,
    template_messages,
    template_schema,
)
from modeling.judges.questions import ORDERS, question_of, question_redacted, template_of
from modeling.models import JudgePrompt


@transaction.atomic
def judge_prompt_save(
    *,
    project: Project,
    user: User | None,
    name: str,
    instructions: str,
    kind: str = JudgePrompt.Kind.PAIRWISE,
    reply_order: str = JudgePrompt.ReplyOrder.VERDICT_FIRST,
    criterion: str = "",
    principles: Sequence[str] = (),
) -> JudgePrompt:
    """Save a prompt as the next version of its name; saving the same again makes no new one.

    Raises
    ------
    ApplicationError
        If it could not be asked; the field is named.
    """
    draft = JudgePrompt(
        project=project,
        name=name.strip(),
        kind=kind,
        reply_order=reply_order,
        instructions=instructions.strip(),
        criterion=criterion.strip(),
        principles=[line.strip() for line in principles if line.strip()],
        created_by=user,
    )
    prompt_check(draft)
    # One writer at a time numbers a project's versions.
    Project.objects.select_for_update().get(pk=project.pk)
    latest = project.judge_prompts.filter(name=draft.name).order_by("-version").first()
    if latest is not None and template_of(latest) == template_of(draft):
        return latest
    draft.version = latest.version + 1 if latest else 1
    draft.save()
    audit_write(
        project=project, actor=user, action="judge_prompt.save", target=str(draft),
        data={"kind": kind, "reply_order": reply_order},
    )  # fmt: skip
    return draft


def prompt_check(prompt: JudgePrompt) -> PromptTemplate:
    """Return a prompt's template if it can be asked.

    Raises
    ------
    ApplicationError
        If it cannot; the field is named.
    """
    if not prompt.name or len(prompt.name) > 80:
        raise ApplicationError("Give the prompt a name of at most 80 characters.", field="name")
    if prompt.kind not in JudgePrompt.Kind.values:
        raise ApplicationError(f"There is no kind {prompt.kind!r}.", field="kind")
    if prompt.reply_order not in JudgePrompt.ReplyOrder.values:
        raise ApplicationError(f"There is no order {prompt.reply_order!r}.", field="reply_order")
    if len(prompt.criterion) > 300:
        raise ApplicationError("Keep the criterion within 300 characters.", field="criterion")
    texts = [prompt.name, prompt.instructions, prompt.criterion, *prompt.principles]
    if any("\x00" in text for text in texts):
        raise ApplicationError("The NUL character cannot be stored.", field="instructions")
    template = template_of(prompt)
    try:
        template_check(template)
    except TemplateError as error:
        field, _, sentence = str(error).partition(": ")
        raise ApplicationError(sentence[:1].upper() + sentence[1:], field=field) from None
    return template


def prompt_preview(
    *, template: PromptTemplate, comparison: Comparison, redact: bool = False
) -> list[dict[str, Any]]:
    """Return the exact messages for a comparison in both orders, and the schema of a reply."""
    question = question_of(comparison, project=comparison.project)
    if redact:
        question, _ = question_redacted(question)
    schema = template_schema(
        template, allow_tie=question.allow_tie, n_responses=len(question.responses)
    )
    return [
        {
            "swapped": swapped,
            "messages": template_messages(template, question, swapped=swapped),
            "schema": schema,
            "schema_text": json.dumps(schema, indent=2),
        }
        for swapped in ORDERS
    ]
