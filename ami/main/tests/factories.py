"""Projects and captures for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import count
from typing import Any

from PIL import ExifTags, Image

from ami.main.models import Deployment, Project, ProjectMembership, SourceImage, SourceImageCollection
from ami.main.models.capture_set import CaptureSetMethod
from ami.users.models import User
from ami.users.roles import Role

_numbers = count(1)
NIGHT = datetime(2026, 6, 1, 22, 0, tzinfo=UTC)


def make_project(owner: User | None = None, **fields: Any) -> Project:
    """A bare project, without the defaults that the service makes."""
    return Project.objects.create(**{"name": f"Project {next(_numbers)}", "owner": owner, **fields})


def add_member(project: Project, user: User, role: Role = Role.BASIC_MEMBER) -> ProjectMembership:
    """Give a person a role."""
    return ProjectMembership.objects.create(project=project, user=user, role=role)


def make_deployment(project: Project, **fields: Any) -> Deployment:
    """A station."""
    return Deployment.objects.create(**{"project": project, "name": f"Station {next(_numbers)}", **fields})


def make_capture(deployment: Deployment, **fields: Any) -> SourceImage:
    """A capture on somebody's web server."""
    number = next(_numbers)
    defaults = {
        "project": deployment.project,
        "deployment": deployment,
        "path": f"night/{number}.jpg",
        "public_base_url": "https://images.example.org/station",
        "timestamp": NIGHT + timedelta(minutes=number),
        "width": 4096,
        "height": 2160,
        "size": 123,
    }
    return SourceImage.objects.create(**{**defaults, **fields})


def make_capture_set(project: Project, *captures: SourceImage, **fields: Any) -> SourceImageCollection:
    """A set with these captures."""
    defaults = {"name": f"Set {next(_numbers)}", "method": CaptureSetMethod.MANUAL}
    capture_set = SourceImageCollection.objects.create(project=project, **{**defaults, **fields})
    capture_set.images.set(captures)
    return capture_set


def image_bytes(
    size: tuple[int, int] = (64, 48), fmt: str = "JPEG", taken: str = "", offset: str = "", color: int = 0
) -> bytes:
    """A small image; `taken` and `offset` go into its EXIF block."""
    image = Image.new("RGB", size, (color % 256, color // 256 % 256, 40))
    exif = image.getexif()
    if taken:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    if offset:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.OffsetTimeOriginal] = offset
    buffer = BytesIO()
    image.save(buffer, fmt, exif=exif)
    return buffer.getvalue()
