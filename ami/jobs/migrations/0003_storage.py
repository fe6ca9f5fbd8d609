"""How Postgres keeps the rows that change most, and the bytes that are compressed already."""

from django.db import migrations

# Half-empty pages let an update stay in its page (HOT): no index is touched when a lease changes hands.
FORWARD = """
ALTER TABLE jobs_jobtask SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE jobs_job SET (fillfactor = 70);
ALTER TABLE jobs_jobstage SET (fillfactor = 50);
ALTER TABLE jobs_inboxentry ALTER COLUMN body SET STORAGE EXTERNAL;
"""
BACKWARD = """
ALTER TABLE jobs_jobtask RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor);
ALTER TABLE jobs_job RESET (fillfactor);
ALTER TABLE jobs_jobstage RESET (fillfactor);
ALTER TABLE jobs_inboxentry ALTER COLUMN body SET STORAGE EXTENDED;
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0002_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
