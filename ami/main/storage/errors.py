"""What can be wrong with a place where captures lie. The sentences name what somebody typed, and no key."""

from __future__ import annotations

from ami.base.errors import AmiError


class StorageError(AmiError):
    """The storage cannot be read."""

    code = "storage_error"


class StorageRefused(StorageError):
    """The storage does not accept our keys, or they may not list it."""

    code = "storage_refused"


class StorageMissing(StorageError):
    """The bucket or the folder does not exist."""

    code = "storage_missing"


class StorageMisplaced(StorageError):
    """The bucket is elsewhere; check region and endpoint."""

    code = "storage_misplaced"


class StorageAway(StorageError):
    """The storage does not answer right now."""

    code = "storage_away"
    permanent = False
    http_status = 502
