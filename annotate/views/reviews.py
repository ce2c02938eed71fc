"""Conflicts between people, decided by reviewers; and the annotator's own test."""

from uuid import uuid4

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotate.access import (
    Access,
    get_annotator_for,
    get_project_for,
    get_review_for,
    get_reviewed_project_for,
)
from annotate.errors import ApplicationError
from annotate.models import Annotator, Review
from annotate.quality_forms import ReviewForm
from annotate.rendering import markdown_to_html
from annotate.selectors.comparisons import verdict_name
from annotate.selectors.quality import display_name, reviews_decided, reviews_open
from annotate.selectors.quality_page import blind_votes
from annotate.services.overrides import has_voted, review_decide, review_order, verdict_of
from annotate.services.qualification import qualification_start, qualification_state
from annotate.services.reviews import conflict_in_words, human_votes
from annotate.views.common import page_context

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@require_safe
@login_required
def review_list(request: HttpRequest, slug: str) -> HttpResponse:
    """List the conflicts that wait and those that are decided."""
    access = get_reviewed_project_for(request.user, slug)
    annotator = get_annotator_for(access)
    page = Paginator(reviews_open(project=access.project), 50).get_page(request.GET.get("page"))
    decided = list(reviews_decided(project=access.project)[:50])
    context = page_context(access, nav="review") | {
        "page_obj": page,
        "waiting": [
            (review, conflict_in_words(review), has_voted(review=review, annotator=annotator))
            for review in page
        ],
        "decided": [
            (
                review,
                conflict_in_words(review),
                verdict_name(review.preference),
                display_name(review.reviewer),
            )
            for review in decided
            if review.preference is not None and review.reviewer is not None
        ],
    }
    return render(request, "annotate/quality_reviews.html", context)


@require_http_methods(["GET", "POST"])
@login_required
def review(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one conflict with its votes, nameless, and take the overriding verdict."""
    access = get_reviewed_project_for(request.user, slug)
    found, annotator = get_review_for(access, pk), get_annotator_for(access)
    form = ReviewForm(
        request.POST or None,
        initial={"idempotency_key": uuid4()},
        protocol=access.project.protocol,
        n_responses=found.comparison.n_responses,
    )
    if request.method == "POST" and form.is_valid() and _decided(found, annotator, form):
        messages.success(request, _told(found))
        return redirect("annotate:reviews", slug)
    return _review_page(request, access, annotator, found, form)


def _told(found: Review) -> str:
    told = gettext("Your verdict on %(comparison)s stands above the votes.")
    return told % {"comparison": found.comparison}


def _decided(found: Review, annotator: Annotator, form: ReviewForm) -> bool:
    values = form.cleaned_data
    try:
        given = verdict_of(
            choice=values.get("choice", ""),
            order=values.get("order", ""),
            rationale=values["rationale"],
            n_responses=found.comparison.n_responses,
        )
        review_decide(
            review=found,
            annotator=annotator,
            given=given,
            idempotency_key=values["idempotency_key"],
        )
    except ApplicationError as error:
        form.add_error(error.field if error.field in form.fields else None, error.message)
        return False
    return True


def _review_page(
    request: HttpRequest, access: Access, annotator: Annotator, found: Review, form: ReviewForm
) -> HttpResponse:
    order = review_order(review=found, annotator=annotator)
    comparison = found.comparison
    slots = list(comparison.slots.select_related("response").order_by("position"))
    votes = human_votes(comparison_id=comparison.pk)
    own = has_voted(review=found, annotator=annotator)
    context = page_context(access, nav="review") | {
        "review": found,
        "conflict": conflict_in_words(found),
        "comparison": comparison,
        "form": form,
        "is_own": own,
        "turns": [
            {"role": turn["role"], "html": markdown_to_html(turn["content"])}
            for turn in comparison.prompt.turns
        ],
        "responses": [
            {"label": LETTERS[n], "html": markdown_to_html(slots[index].response.text)}
            for n, index in enumerate(order)
        ],
        "votes": [] if own else blind_votes(votes=votes, order=order),
    }
    status = 422 if form.errors else 200
    return render(request, "annotate/quality_review.html", context, status=status)


@require_safe
@login_required
def qualification(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the annotator where they stand in the qualification test."""
    access = get_project_for(request.user, slug)
    context = page_context(access, nav="label")
    context["state"] = qualification_state(annotator=get_annotator_for(access))
    return render(request, "annotate/quality_own_test.html", context)


@require_POST
@login_required
def qualification_begin(request: HttpRequest, slug: str) -> HttpResponse:
    """Begin another attempt at the test."""
    annotator = get_annotator_for(get_project_for(request.user, slug))
    try:
        qualification_start(annotator=annotator)
    except ApplicationError as error:
        messages.error(request, error.message)
        return redirect("annotate:qualification", slug)
    return redirect("annotate:label", slug)
