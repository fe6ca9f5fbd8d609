"""What says where a file of a data source is: plain values, from the ORM or from raw SQL."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from ami.main.storage.secrets import unseal
from ami.main.storage.signing import Keys, quoted_path, signed_link

if TYPE_CHECKING:
    from ami.main.models import StorageSource

DEFAULT_REGION = "us-east-1"


class Origin(NamedTuple):
    """A data source. The keys are sealed."""

    kind: str
    bucket: str
    region: str
    endpoint_url: str
    public_base_url: str
    access_key: str
    secret_key: str
    folder: str

    @property
    def is_folder(self) -> bool:
        """Whether its files are on this server."""
        return self.kind == "folder"

    @property
    def base(self) -> str:
        """Scheme and host of its server."""
        if self.endpoint_url:
            return self.endpoint_url.rstrip("/")
        return f"https://{self._amazon}"

    @property
    def _amazon(self) -> str:
        """Amazon wants the bucket in the name of the host, which a name with dots in it cannot be."""
        host = f"s3.{self.place}.amazonaws.com"
        return host if "." in self.bucket else f"{self.bucket}.{host}"

    @property
    def place(self) -> str:
        """Its region."""
        return self.region or DEFAULT_REGION

    def path(self, key: str = "") -> str:
        """The quoted path of an object, or of the bucket."""
        if not self.endpoint_url and "." not in self.bucket:
            return f"/{quoted_path(key)}"
        return f"/{quoted_path(self.bucket)}/{quoted_path(key)}" if key else f"/{quoted_path(self.bucket)}"

    def keys(self) -> Keys | None:
        """Its keys, if it has any. Raises StorageRefused if they cannot be opened."""
        if not self.access_key or not self.secret_key:
            return None
        return Keys(unseal(self.access_key), unseal(self.secret_key))

    def link(self, key: str, *, now: datetime, seconds: int) -> str:
        """Where to fetch an object: signed if there are keys."""
        keys = self.keys()
        if keys is None:
            return f"{self.base}{self.path(key)}"
        return signed_link(self.base, self.path(key), keys=keys, region=self.place, now=now, seconds=seconds)


COLUMNS = Origin._fields
"""Those of `main_storagesource` that it takes."""


def origin_of(source: StorageSource) -> Origin:
    """Of a row that the ORM read."""
    return Origin(
        source.kind,
        source.bucket,
        source.region,
        source.endpoint_url,
        source.public_base_url,
        source.access_key,
        source.secret_key,
        source.folder,
    )
