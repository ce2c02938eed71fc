"""Routing decisions are frozen: nothing re-decides the past."""

from django.db import migrations

SQL = """
CREATE TRIGGER routing_decision_append_only BEFORE UPDATE OR DELETE ON routing_routingdecision
    FOR EACH ROW EXECUTE FUNCTION tandem_refuse_change();
"""

UNDO = "DROP TRIGGER routing_decision_append_only ON routing_routingdecision;"


class Migration(migrations.Migration):
    dependencies = [("routing", "0001_initial"), ("annotate", "0002_append_only")]

    operations = [migrations.RunSQL(sql=SQL, reverse_sql=UNDO)]
