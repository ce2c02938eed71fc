"""The queue: where each annotator stands in it, and which transaction put a comparison back.

``queued_xid`` and the two indexes are PostgreSQL's own business, so Django's models do not know
them; only ``annotate/services/queue.py`` reads them.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

# A comparison enters the queue when it is made, and again when a slot comes back or when anything
# else that decides its turn changes. An UPDATE that takes a slot leaves the mark alone.
SQL = """
ALTER TABLE annotate_comparison
    ADD COLUMN queued_xid bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint);

CREATE FUNCTION tandem_comparison_queued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.queued_xid := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END $$;

CREATE TRIGGER comparison_queued BEFORE UPDATE ON annotate_comparison
    FOR EACH ROW WHEN (
        NEW.open_slots > OLD.open_slots OR NEW.priority <> OLD.priority
        OR NEW.skill <> OLD.skill OR NEW.n_responses <> OLD.n_responses
        OR (OLD.is_reserved AND NOT NEW.is_reserved) OR (OLD.is_gold AND NOT NEW.is_gold))
    EXECUTE FUNCTION tandem_comparison_queued();

CREATE INDEX comparison_queue ON annotate_comparison (project_id, skill, (- priority), id)
    WHERE open_slots > 0 AND NOT is_reserved AND NOT is_gold;
CREATE INDEX comparison_queued ON annotate_comparison (project_id, queued_xid, (- priority), id)
    WHERE open_slots > 0 AND NOT is_reserved AND NOT is_gold;
"""

UNDO = """
DROP INDEX comparison_queue;
DROP INDEX comparison_queued;
DROP TRIGGER comparison_queued ON annotate_comparison;
DROP FUNCTION tandem_comparison_queued();
ALTER TABLE annotate_comparison DROP COLUMN queued_xid;
"""


class Migration(migrations.Migration):
    dependencies = [("annotate", "0005_gold_results_frozen")]

    operations = [
        migrations.CreateModel(
            name="QueuePlace",
            fields=[
                (
                    "annotator",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="queue_place",
                        serialize=False,
                        to="annotate.annotator",
                    ),
                ),
                ("rank", models.FloatField()),
                ("comparison_id", models.BigIntegerField()),
                (
                    "seen_xid",
                    models.BigIntegerField(
                        help_text="Every transaction before this one had ended when the place was last moved."
                    ),
                ),
                ("protocol_id", models.BigIntegerField()),
                (
                    "skills",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60), default=list, size=None
                    ),
                ),
                (
                    "walked_at",
                    models.DateTimeField(help_text="When the queue was last walked from its head."),
                ),
            ],
        ),
        migrations.RemoveIndex(model_name="comparison", name="comparison_queue"),
        migrations.AddIndex(
            model_name="preference",
            index=models.Index(
                condition=models.Q(("supersedes__isnull", True)),
                fields=["annotator"],
                name="preference_given",
            ),
        ),
        migrations.AddIndex(
            model_name="assignment",
            index=models.Index(
                condition=models.Q(("kind", "work"), ("state__in", ["live", "submitted"])),
                fields=["annotator"],
                name="assignment_toward_quota",
            ),
        ),
        migrations.RunSQL(sql=SQL, reverse_sql=UNDO),
    ]
