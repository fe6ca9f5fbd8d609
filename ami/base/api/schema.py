"""How the description of the API is made from the code, where the defaults say too little."""

from __future__ import annotations

import re

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc

USUAL = {
    "list": "List",
    "retrieve": "Read one",
    "create": "Add one",
    "update": "Replace one",
    "partial_update": "Change one",
    "destroy": "Delete one",
}


class SummarySchema(AutoSchema):
    """Gives every call the line that the docs page shows beside its address."""

    def get_summary(self) -> str | None:
        """The first sentence of what the action says of itself; for the usual ones the usual words."""
        name = getattr(self.view, "action", self.method.lower())
        own = get_doc(getattr(self.view, name, None))
        sentence = re.split(r"(?<=[.;:])\s|\n", own, maxsplit=1)[0].rstrip(".;:")
        return sentence.replace("`", "") or USUAL.get(name)
