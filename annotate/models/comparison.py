"""Prompts, their responses, and the comparisons that put responses side by side."""

from decimal import Decimal

from django.db import models
from django.db.models.functions import Now

from annotate.models.project import Project


class Prompt(models.Model):
    """One conversation that asks for a response; stored once and shared by its comparisons."""

    # `prompt_once` begins with the project, so a second index would only cost imports.
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="prompts", db_index=False
    )
    turns = models.JSONField(help_text='List of {"role", "content"}, the last one unanswered.')
    content_hash = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "content_hash"], name="prompt_once")
        ]

    def __str__(self) -> str:
        return self.text[:80]

    @property
    def text(self) -> str:
        """The turns as plain text, the form that encoders and statistics read."""
        if len(self.turns) == 1:
            return str(self.turns[0]["content"])
        return "\n\n".join(f"{t['role']}: {t['content']}" for t in self.turns)


class Response(models.Model):
    """One answer to a prompt, with the source model that annotators never see."""

    # `response_once` begins with the prompt.
    prompt = models.ForeignKey(
        Prompt, on_delete=models.CASCADE, related_name="responses", db_index=False
    )
    text = models.TextField(blank=True)
    source_model = models.CharField(max_length=200, blank=True, default="")
    content_hash = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["prompt", "source_model", "content_hash"], name="response_once"
            )
        ]

    def __str__(self) -> str:
        return self.text[:80]


class ComparisonQuerySet(models.QuerySet["Comparison"]):
    """Common reads of comparisons."""

    def open(self) -> "ComparisonQuerySet":
        """Comparisons that still want a human label."""
        return self.filter(open_slots__gt=0)

    def in_queue_order(self) -> "ComparisonQuerySet":
        """The order in which annotators are served."""
        return self.order_by("-priority", "pk")


class Comparison(models.Model):
    """A prompt and two or more responses in canonical order, waiting for verdicts.

    ``wanted_labels`` is how many human labels it should end with; ``open_slots`` is that number
    less the labels given and the leases that are live. Only services change the two.
    """

    # `comparison_by_project` begins with the project.
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="comparisons", db_index=False
    )
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="comparisons")
    responses: models.ManyToManyField[Response, "ComparisonResponse"] = models.ManyToManyField(
        Response, through="ComparisonResponse", related_name="comparisons"
    )
    external_id = models.CharField(max_length=200)
    criterion = models.CharField(max_length=300, blank=True, default="")
    metadata = models.JSONField(default=dict, blank=True)
    n_responses = models.PositiveSmallIntegerField()
    wanted_labels = models.PositiveSmallIntegerField(default=1)
    open_slots = models.SmallIntegerField(default=1)
    priority = models.FloatField(default=0.0)
    skill = models.CharField(
        max_length=60, blank=True, default="", help_text="Only annotators with this skill get it."
    )
    is_reserved = models.BooleanField(
        default=False, help_text="Only annotators to whom the owner gave it get it."
    )
    wanted_when_free = models.PositiveSmallIntegerField(
        null=True, help_text="How many labels it wanted before it was reserved."
    )
    human_price_usd = models.DecimalField(
        max_digits=9,
        decimal_places=4,
        null=True,
        help_text="One human label of it, as routing priced it; empty is the project's price.",
    )
    is_gold = models.BooleanField(
        default=False,
        help_text="Its answer is known; its labels measure people and leave no export.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ComparisonQuerySet.as_manager()

    class Meta:
        indexes = [
            # Exports read a project by id, a chunk at a time, wherever else its rows lie.
            models.Index(fields=["project", "id"], name="comparison_by_project"),
            # All of a project in queue order; the queue's own index holds only what is open.
            models.Index(
                models.F("project"),
                -models.F("priority"),
                models.F("id"),
                name="comparison_in_queue_order",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "external_id"], name="comparison_external_id_once"
            ),
            models.CheckConstraint(
                condition=models.Q(open_slots__gte=0), name="comparison_open_slots_not_negative"
            ),
            models.CheckConstraint(
                condition=models.Q(open_slots__lte=models.F("wanted_labels")),
                name="comparison_open_slots_within_wanted",
            ),
            models.CheckConstraint(
                condition=models.Q(human_price_usd__isnull=True) | models.Q(human_price_usd__gte=0),
                name="comparison_price_not_negative",
            ),
            models.CheckConstraint(
                condition=models.Q(n_responses__gte=2) & models.Q(n_responses__lte=26),
                name="comparison_two_to_k_responses",
            ),
        ]

    def __str__(self) -> str:
        return self.external_id

    def label_price(self, project: Project) -> Decimal:
        """Dollars of one human label of it."""
        own = self.human_price_usd
        return project.human_price_usd if own is None else own


class Reservation(models.Model):
    """A comparison that the owner gave to one annotator by hand."""

    comparison = models.ForeignKey(
        Comparison, on_delete=models.CASCADE, related_name="reservations"
    )
    annotator = models.ForeignKey(
        "annotate.Annotator", on_delete=models.CASCADE, related_name="reservations"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["comparison", "annotator"], name="reservation_once")
        ]

    def __str__(self) -> str:
        return f"{self.comparison_id} for {self.annotator_id}"


class RenderedComparison(models.Model):
    """The HTML of a comparison whose turn comes soon, so that nobody waits for it to be made.

    Safe to lose at any time: the table survives no crash and what is missing is rendered when it is
    asked for. ``renderer`` says by which program and libraries it was made.
    """

    comparison = models.OneToOneField(
        Comparison, primary_key=True, on_delete=models.CASCADE, related_name="rendered"
    )
    renderer = models.CharField(max_length=24)
    html = models.JSONField(help_text='{"turns": […], "responses": […]} in canonical order.')
    made_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"HTML of {self.comparison_id}"


class ComparisonResponse(models.Model):
    """The place of a response in a comparison's canonical order (0, 1, …)."""

    # `slot_position_once` begins with the comparison.
    comparison = models.ForeignKey(
        Comparison, on_delete=models.CASCADE, related_name="slots", db_index=False
    )
    response = models.ForeignKey(Response, on_delete=models.PROTECT, related_name="slots")
    position = models.PositiveSmallIntegerField()
    external_id = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ["comparison", "position"]
        constraints = [
            models.UniqueConstraint(fields=["comparison", "position"], name="slot_position_once")
        ]

    def __str__(self) -> str:
        return f"{self.comparison_id}[{self.position}]"
