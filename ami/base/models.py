"""What most rows carry: when they were made and when they last changed."""

from __future__ import annotations

from django.db import models


class TimestampedModel(models.Model):
    """Creation and change times, kept by Django on every `save()`; bulk SQL sets them itself."""

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
