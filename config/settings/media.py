"""Images: those that people bring in, and what the server fetches from elsewhere."""

from __future__ import annotations

from config import declare

MEDIA_LINK_SECONDS = declare.integer(
    "MEDIA_LINK_SECONDS",
    86_400,
    "Seconds that a signed link to a local image, or to an export, works; must outlive every lease.",
    minimum=60,
)
IMPORT_MAX_PIXELS = declare.integer(
    "IMPORT_MAX_PIXELS", 250_000_000, "Largest image, in pixels, that upload and import accept.", minimum=1
)
STORAGE_FOLDERS = declare.strings(
    "STORAGE_FOLDERS",
    [],
    "Folders of this server, whole paths, below which captures may be read where they lie. Administrators "
    "choose what a project gets of them; without any, no file of the server can be read.",
)

OUTGOING_ALLOWED_NETWORKS = declare.networks(
    "OUTGOING_ALLOWED_NETWORKS",
    [],
    "Networks (CIDR) that are not public and that the server may call all the same, for instance "
    "10.1.0.0/16 where push services of the lab live. Everybody who may register a service reaches them.",
)
