"""Projects and what camera stations deliver."""

from ami.main.models.capture import SourceImage, SourceImageUpload
from ami.main.models.capture_set import SourceImageCollection
from ami.main.models.deployment import Deployment, Device, Site
from ami.main.models.event import Event
from ami.main.models.project import Project, ProjectMembership
from ami.main.models.storage import StorageSource
from ami.main.models.taxon import Taxon

__all__ = [
    "Deployment",
    "Device",
    "Event",
    "Project",
    "ProjectMembership",
    "Site",
    "SourceImage",
    "SourceImageCollection",
    "SourceImageUpload",
    "StorageSource",
    "Taxon",
]
