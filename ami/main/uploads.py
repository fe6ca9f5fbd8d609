"""A person uploads one image: it is checked, stored, and becomes a capture."""

from __future__ import annotations

from django.core.files.base import File
from django.db import transaction

from ami.base import clock
from ami.main.images import read_facts
from ami.main.importing import time_of
from ami.main.models import Deployment, SourceImage, SourceImageUpload
from ami.main.sessions import session_for
from ami.users.models import User


def upload_image(*, deployment: Deployment, file: File[bytes], user: User) -> SourceImageUpload:
    """Store the image and make it a capture of the station. Raises UnreadableImage for what is none.

    Taken when the camera or the file's name says, else now. It belongs to a session of the station at once.
    """
    facts = read_facts(file.read())
    file.seek(0)
    name = file.name or ""
    taken_at = time_of(name, facts, deployment) or clock.now()
    with transaction.atomic():
        upload = SourceImageUpload(deployment=deployment, user=user)
        upload.image.save(name, file, save=False)
        upload.source_image = SourceImage.objects.create(
            project_id=deployment.project_id,
            deployment=deployment,
            event_id=session_for(deployment.pk, taken_at),
            path=upload.image.name or "",
            timestamp=taken_at,
            width=facts.width,
            height=facts.height,
            size=facts.size,
            checksum=facts.checksum,
            test_image=True,
        )
        upload.save()
    return upload
