"""Where files of exports are: in the media storage, below `exports/`, where no address of ours leads.

An unfinished export has a folder of its own per run; a finished one a name that nobody can guess.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils.text import slugify

from ami.jobs.models import DataExport
from ami.main.media import FileGone, media_file

_FOLDER = "exports"
_UNFINISHED = "unfinished"


def unfinished_folder(export_id: int, run: int) -> Path:
    """Where the parts of an export grow."""
    return _root() / _UNFINISHED / f"{export_id}-{run}"


def new_name(export: DataExport, ending: str) -> str:
    """The path, in the media storage, that the finished file is to have."""
    title = slugify(export.project.name)[:60] or "project"
    return f"{_FOLDER}/{secrets.token_urlsafe(24)}/{title}-export-{export.pk}{ending}"


def is_there(name: str) -> bool:
    """Whether a finished file is in its place already: a step before may have died right after the move."""
    return (Path(settings.MEDIA_ROOT) / name).is_file()


def put(made: Path | None, name: str) -> int:
    """Move a finished file, if there is one to be moved, to its place; returns the size of what is there."""
    place = Path(settings.MEDIA_ROOT) / name
    if made is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(made, place)
    return place.stat().st_size


def finished_file(export: DataExport) -> Path:
    """The file of an export. Raises FileGone if there is none."""
    if not export.file.startswith(f"{_FOLDER}/"):
        raise FileGone("This export has no file (yet); look at its job.")
    return media_file(export.file)


def remove(name: str) -> None:
    """Remove a finished file, if it is there, with the folder that it has for itself."""
    if name.startswith(f"{_FOLDER}/") and len(Path(name).parts) == 3:
        shutil.rmtree((Path(settings.MEDIA_ROOT) / name).parent, ignore_errors=True)


def remove_unfinished(export_id: int, upto_run: int | None = None) -> None:
    """Remove what runs of an export left behind: all of them, or those up to one; later ones may write."""
    for folder in (_root() / _UNFINISHED).glob(f"{export_id}-*"):
        run = int(folder.name.partition("-")[2])
        if upto_run is None or run <= upto_run:
            shutil.rmtree(folder, ignore_errors=True)


def remove_after_commit(export: DataExport, *names: str, upto_run: int | None = None) -> None:
    """Remove the file of an export, those of these names, and what is unfinished; once that is sure."""
    key, all_names = export.pk, {export.file, *names}

    def remove_all() -> None:
        remove_unfinished(key, upto_run)
        for name in all_names:
            remove(name)

    transaction.on_commit(remove_all)


def _root() -> Path:
    return Path(settings.MEDIA_ROOT) / _FOLDER
