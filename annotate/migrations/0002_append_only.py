"""Labels, dataset versions and the audit trail are append-only: the database itself refuses.

Deleting a whole project is the one exception, and has to say so with
``SET LOCAL tandem.allow_purge = 'on'``.
"""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION tandem_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('tandem.allow_purge', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused. Write a new row instead.',
        TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
"""

TRIGGERS = """
CREATE TRIGGER preference_append_only BEFORE UPDATE OR DELETE ON annotate_preference
    FOR EACH ROW EXECUTE FUNCTION tandem_refuse_change();
CREATE TRIGGER dataset_version_frozen
    BEFORE UPDATE OF project_id, number, label_rule, last_preference_id, last_comparison_id,
        n_rows, content_hash, manifest, created_at OR DELETE ON annotate_datasetversion
    FOR EACH ROW EXECUTE FUNCTION tandem_refuse_change();
CREATE TRIGGER audit_event_append_only
    BEFORE UPDATE OF project_id, action, target, data, created_at OR DELETE ON annotate_auditevent
    FOR EACH ROW EXECUTE FUNCTION tandem_refuse_change();
"""

UNDO = """
DROP TRIGGER preference_append_only ON annotate_preference;
DROP TRIGGER dataset_version_frozen ON annotate_datasetversion;
DROP TRIGGER audit_event_append_only ON annotate_auditevent;
DROP FUNCTION tandem_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("annotate", "0001_initial")]

    operations = [migrations.RunSQL(sql=FUNCTION + TRIGGERS, reverse_sql=UNDO)]
