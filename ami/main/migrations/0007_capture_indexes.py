"""Captures are found by their session, and those of a data source by it.

The indexes are made without blocking writes, so the migration is not one transaction; stopped half-way, it can
be run again after the invalid index that it names is dropped.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('main', '0006_storage_and_sessions'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='sourceimage',
            index=models.Index(fields=['event', 'timestamp'], name='capture_event_order'),
        ),
        AddIndexConcurrently(
            model_name='sourceimage',
            index=models.Index(
                condition=models.Q(('data_source__isnull', False)),
                fields=['data_source'],
                name='capture_data_source',
            ),
        ),
    ]
