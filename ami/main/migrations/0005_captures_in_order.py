"""Captures of a project or deployment are read in the order of their ids: by collecting, by walking pages.

The new indexes take the place of those on the foreign keys alone. They are made and dropped without blocking
writes, so the migration is not one transaction; stopped half-way, it can be run again after the invalid index
that it names is dropped.
"""

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('main', '0004_computed_facts'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='sourceimage',
            index=models.Index(fields=['project', 'id'], name='capture_project_order'),
        ),
        AddIndexConcurrently(
            model_name='sourceimage',
            index=models.Index(fields=['deployment', 'id'], name='capture_deployment_order'),
        ),
        migrations.AlterField(
            model_name='sourceimage',
            name='deployment',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='captures', to='main.deployment'),
        ),
        migrations.AlterField(
            model_name='sourceimage',
            name='project',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='captures', to='main.project'),
        ),
    ]
