"""Keep the HTML of comparisons whose turn comes soon, and when an annotator last asked for one."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("annotate", "0012_kept_answers"),
    ]

    operations = [
        migrations.CreateModel(
            name="RenderedComparison",
            fields=[
                (
                    "comparison",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="rendered",
                        serialize=False,
                        to="annotate.comparison",
                    ),
                ),
                ("renderer", models.CharField(max_length=24)),
                (
                    "html",
                    models.JSONField(
                        help_text='{"turns": […], "responses": […]} in canonical order.'
                    ),
                ),
                (
                    "made_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
        ),
        # It can be made again at any time, so it need not go through the write-ahead log.
        migrations.RunSQL(
            "ALTER TABLE annotate_renderedcomparison SET UNLOGGED",
            "ALTER TABLE annotate_renderedcomparison SET LOGGED",
        ),
        migrations.AddField(
            model_name="queueplace",
            name="asked_at",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(),
                help_text="When the annotator last asked for a comparison.",
            ),
        ),
    ]
