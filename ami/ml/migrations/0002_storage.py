"""Score vectors are random mantissas: trying to compress them costs time and gains nothing."""

from django.db import migrations

FORWARD = """
ALTER TABLE ml_classification ALTER COLUMN scores_packed SET STORAGE EXTERNAL;
ALTER TABLE ml_classification ALTER COLUMN logits_packed SET STORAGE EXTERNAL;
"""
BACKWARD = """
ALTER TABLE ml_classification ALTER COLUMN scores_packed SET STORAGE EXTENDED;
ALTER TABLE ml_classification ALTER COLUMN logits_packed SET STORAGE EXTENDED;
"""


class Migration(migrations.Migration):
    dependencies = [("ml", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
