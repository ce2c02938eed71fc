"""What was right or wrong when it was answered stays so: gold results are append-only."""

from django.db import migrations

SQL = """
CREATE TRIGGER gold_result_append_only BEFORE UPDATE OR DELETE ON annotate_goldresult
    FOR EACH ROW EXECUTE FUNCTION tandem_refuse_change();
"""

UNDO = "DROP TRIGGER gold_result_append_only ON annotate_goldresult;"


class Migration(migrations.Migration):
    dependencies = [("annotate", "0004_annotators_day")]

    operations = [migrations.RunSQL(sql=SQL, reverse_sql=UNDO)]
