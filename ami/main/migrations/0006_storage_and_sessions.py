"""Places where captures lie, the stations that deliver there, and sessions; indexes on captures come next."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('main', '0005_captures_in_order'),
    ]

    operations = [
        migrations.AddField(
            model_name='deployment',
            name='data_source_last_checked',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='deployment',
            name='data_source_regex',
            field=models.CharField(blank=True, help_text='Only files whose path matches count (regular expression).', max_length=255),
        ),
        migrations.AddField(
            model_name='deployment',
            name='data_source_subdir',
            field=models.CharField(blank=True, help_text='The folder of this station, below that of the data source.', max_length=1024),
        ),
        migrations.AddField(
            model_name='deployment',
            name='data_source_total_files',
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='deployment',
            name='data_source_total_size',
            field=models.BigIntegerField(default=0, editable=False, help_text='Bytes.'),
        ),
        migrations.AlterField(
            model_name='sourceimagecollection',
            name='images',
            field=models.ManyToManyField(blank=True, help_text='The members, unless the set holds the whole project; ask `ami.main.capture_sets`.', related_name='capture_sets', to='main.sourceimage'),
        ),
        migrations.AlterField(
            model_name='sourceimagecollection',
            name='method',
            field=models.CharField(choices=[('full', 'All captures of the project'), ('random', 'Random'), ('stratified_random', 'Random, the same from each session'), ('interval', 'One in each stretch of time'), ('manual', 'Chosen by hand'), ('starred', 'Starred'), ('random_from_each_event', 'Random from each session'), ('last_and_random_from_each_event', 'Last and random from each session'), ('greatest_file_size_from_each_event', 'Largest files from each session'), ('detections_only', 'Those with detections'), ('common_combined', 'Common parameters combined (deprecated)'), ('positional', 'At a position in each session'), ('nth', 'Every n-th of each station')], default='full', max_length=64),
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('start', models.DateTimeField(help_text='The time of its first capture.')),
                ('end', models.DateTimeField(help_text='The time of its last capture.')),
                ('deployment', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='main.deployment')),
            ],
            options={
                'ordering': ['-start', '-pk'],
            },
        ),
        migrations.AddField(
            model_name='sourceimage',
            name='event',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='captures', to='main.event'),
        ),
        migrations.CreateModel(
            name='StorageSource',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=255)),
                ('kind', models.CharField(choices=[('s3', 'S3 bucket'), ('folder', 'Folder on the server')], default='s3', max_length=16)),
                ('bucket', models.CharField(blank=True, max_length=255)),
                ('prefix', models.CharField(blank=True, help_text='The part of the bucket that counts.', max_length=1024)),
                ('region', models.CharField(blank=True, help_text='Empty: us-east-1.', max_length=64)),
                ('endpoint_url', models.CharField(blank=True, help_text="Address of the S3 server; empty: Amazon's.", max_length=1024)),
                ('public_base_url', models.CharField(blank=True, help_text='Address under which everybody may fetch the files; empty: signed links.', max_length=1024)),
                ('access_key', models.TextField(blank=True, editable=False, help_text='Sealed.')),
                ('secret_key', models.TextField(blank=True, editable=False, help_text='Sealed.')),
                ('folder', models.CharField(blank=True, help_text='A folder below one of STORAGE_FOLDERS, for the kind folder.', max_length=1024)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='storage_sources', to='main.project')),
            ],
            options={
                'ordering': ['name', 'pk'],
            },
        ),
        migrations.AddField(
            model_name='deployment',
            name='data_source',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='deployments', to='main.storagesource'),
        ),
        migrations.AddField(
            model_name='sourceimage',
            name='data_source',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='captures', to='main.storagesource'),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(fields=['deployment', 'start'], name='event_deployment_start'),
        ),
    ]
