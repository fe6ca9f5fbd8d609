"""Worker keys, made and taken away over the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from ami.chaos.client import Caller


@dataclass(frozen=True, slots=True)
class Key:
    """A worker key of a service that has no other."""

    operator: Caller
    service: int
    key: int
    secret: str

    @classmethod
    def make(cls, operator: Caller, project_id: int) -> Self:
        """A new service of the project, with one key."""
        made = operator.insist(
            "POST", f"/ml/processing_services/?project_id={project_id}", json={"name": f"Chaos {project_id}"}
        )
        service = int(made["instance"]["id"])
        key = operator.insist("POST", f"/ml/processing_services/{service}/keys/", json={})
        return cls(operator, service, int(key["id"]), str(key["secret"]))

    def rotate(self) -> str:
        """The key that takes the place of this one."""
        return str(self._tell("rotate")["secret"])

    def revoke(self) -> None:
        """The key is worth nothing any more."""
        self._tell("revoke")

    def _tell(self, verb: str) -> Any:
        return self.operator.insist(
            "POST", f"/ml/processing_services/{self.service}/keys/{self.key}/{verb}/", json={}
        )
