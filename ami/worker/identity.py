"""Who this worker is, in its own words: sent with every call, so that people can tell workers apart."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
from dataclasses import dataclass, field
from typing import Any

INSTANCE_VARIABLE = "AMI_WORKER_INSTANCE"


def default_name() -> str:
    """The name of this worker unless it is given one: stable over restarts, one a machine."""
    return f"AMI worker ({socket.gethostname()})"


def default_instance() -> str:
    """AMI_WORKER_INSTANCE, or the name of the machine; two workers of one machine need the variable."""
    return os.environ.get(INSTANCE_VARIABLE, "").strip() or socket.gethostname()


def software_version() -> str:
    """The version of this package."""
    try:
        return importlib.metadata.version("ami")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True, slots=True)
class Identity:
    """A service (what is registered and has a key) and the process or machine that now works for it."""

    name: str = field(default_factory=default_name)
    instance: str = field(default_factory=default_instance)
    """Tells this worker from its peers of the same name; the same after a restart."""

    def client_info(self) -> dict[str, Any]:
        """The `client_info` of a call."""
        return {
            "name": self.name,
            "instance": self.instance,
            "hostname": socket.gethostname(),
            "software": "ami-worker",
            "version": software_version(),
            "platform": f"{platform.system()} {platform.machine()} Python {platform.python_version()}",
        }

    def headers(self) -> dict[str, str]:
        """The headers of a call; the name as far as a header can hold it."""
        printable = self.name.encode("ascii", "replace").decode()
        return {"User-Agent": f"ami-worker/{software_version()}", "X-Processing-Service-Name": printable}
