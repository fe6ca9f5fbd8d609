"""Projects and captures in the admin."""

from ami.main.admin import captures, storage

__all__ = ["captures", "storage"]
