"""A judge's raw replies are evidence: the database refuses to change them."""

from django.db import migrations

SQL = """
CREATE TRIGGER judge_reply_append_only BEFORE UPDATE OR DELETE ON modeling_judgereply
    FOR EACH ROW EXECUTE FUNCTION tandem_refuse_change();
"""

UNDO = "DROP TRIGGER judge_reply_append_only ON modeling_judgereply;"


class Migration(migrations.Migration):
    dependencies = [("modeling", "0001_initial"), ("annotate", "0002_append_only")]

    operations = [migrations.RunSQL(sql=SQL, reverse_sql=UNDO)]
