"""Import of a folder of images: the files go into our media storage and become captures of a station."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from django.conf import settings

from ami.base.api.fields import in_zone
from ami.base.errors import InvalidInput
from ami.main.images import SUFFIXES, ImageFacts, UnreadableImage, checksum_of, read_facts, time_in_name
from ami.main.models import Deployment, SourceImage

_CHUNK = 200
_LONGEST_PATH = 1024


@dataclass
class ImportReport:
    """What an import did. `broken`: file name and reason of each file that was left out."""

    imported: int = 0
    already_there: int = 0
    without_time: int = 0
    broken: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Known:
    """What the station has already, so that an import can be repeated."""

    paths: set[str]
    checksums: set[bytes]

    @classmethod
    def of(cls, deployment: Deployment) -> _Known:
        known = cls(set(), set())
        rows = SourceImage.objects.filter(deployment=deployment).values_list("path", "checksum")
        for path, checksum in rows.iterator(chunk_size=5_000):
            known.paths.add(path)
            known.checksums.add(bytes.fromhex(checksum))
        return known

    def take(self, path: str, checksum: str) -> bool:
        """Note a file; False if its name or its content is there already."""
        digest = bytes.fromhex(checksum)
        if path in self.paths or digest in self.checksums:
            return False
        self.paths.add(path)
        self.checksums.add(digest)
        return True


def import_folder(
    *,
    deployment: Deployment,
    folder: Path,
    limit: int | None = None,
    move: bool = False,
    allow_unreadable: bool = False,
) -> ImportReport:
    """Copy the JPEG and PNG files below `folder` into the media storage, one capture each.

    `limit`: at most so many new captures. `move`: delete each original once its capture is stored.
    `allow_unreadable`: keep damaged files as captures. Raises InvalidInput where nothing can be imported.
    Safe to run twice: a file whose name or content the station has already is not imported again.
    """
    files = _image_files(folder)
    run = _Import(deployment, folder, durable=move, allow_unreadable=allow_unreadable)
    for start in range(0, len(files), _CHUNK):
        taken: dict[Path, SourceImage] = {}
        for file in files[start : start + _CHUNK]:
            if limit is not None and run.report.imported >= limit:
                break
            if capture := run.take(file):
                taken[file] = capture
        SourceImage.objects.bulk_create(taken.values(), ignore_conflicts=True)
        if move:
            for file in taken:
                file.unlink()
    return run.report


def time_of(name: str, facts: ImageFacts | None, deployment: Deployment) -> datetime | None:
    """When an image was taken: the camera's word, else the file's name, in the zone of the station."""
    return in_zone((facts.taken_at if facts else None) or time_in_name(name), deployment.zone)


def _image_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.")
    files = sorted(file for file in _walk(folder) if file.suffix.lower() in SUFFIXES)
    if not files:
        raise InvalidInput(f"There are no JPEG or PNG images in {folder}.")
    return files


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in names if not name.startswith("."))


class _Import:
    """One run of an import: takes files one by one and keeps the report."""

    def __init__(
        self, deployment: Deployment, folder: Path, *, durable: bool, allow_unreadable: bool
    ) -> None:
        self.deployment = deployment
        self.folder = folder
        self.durable = durable
        self.allow_unreadable = allow_unreadable
        self.known = _Known.of(deployment)
        self.report = ImportReport()

    def take(self, file: Path) -> SourceImage | None:
        """The capture of a file that is now in our storage; None, and a note in the report, if left out."""
        name = file.relative_to(self.folder).as_posix()
        path = f"captures/{self.deployment.project_id}/{self.deployment.pk}/{name}"
        if not _is_storable(path):
            self._leave_out(name, "The name is too long, or is not UTF-8.")
            return None
        facts: ImageFacts | None = None
        try:
            data = file.read_bytes()
            facts = read_facts(data)
        except OSError as error:
            self._leave_out(name, f"The file cannot be read: {error.strerror}.")
            return None
        except UnreadableImage as error:
            if not self.allow_unreadable:
                self._leave_out(name, error.message)
                return None
        checksum = facts.checksum if facts else checksum_of(data)
        if not self.known.take(path, checksum):
            self.report.already_there += 1
            return None
        _store(data, path, self.durable)
        taken_at = time_of(file.name, facts, self.deployment)
        self.report.imported += 1
        self.report.without_time += taken_at is None
        return SourceImage(
            project_id=self.deployment.project_id,
            deployment=self.deployment,
            path=path,
            timestamp=taken_at,
            width=facts.width if facts else None,
            height=facts.height if facts else None,
            size=len(data),
            checksum=checksum,
        )

    def _leave_out(self, name: str, reason: str) -> None:
        self.report.broken.append((name.encode("utf-8", "replace").decode(), reason))


def _is_storable(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return len(path) <= _LONGEST_PATH


def _store(data: bytes, path: str, durable: bool) -> None:
    """Write a file whole or not at all; `durable` where the original will be deleted."""
    target = Path(settings.MEDIA_ROOT, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as partial:
        partial.write(data)
        if durable:
            partial.flush()
            os.fsync(partial.fileno())
    Path(partial.name).chmod(0o644)
    Path(partial.name).replace(target)
