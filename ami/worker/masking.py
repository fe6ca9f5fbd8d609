"""Links without their query, for whatever is written down or sent on: the query of a signed link opens it.

Pipelines are somebody else's code, and libraries quote the whole link in their errors.
"""

from __future__ import annotations

import logging
import re

_QUERY = re.compile(r"""\?[^\s'"<>=]*=[^\s'"<>]*""")


def without_queries(text: str) -> str:
    """The text with `?***` for every query of a link."""
    return _QUERY.sub("?***", text)


class MaskingFormatter(logging.Formatter):
    """Lines, and their tracebacks, without the queries of links."""

    def format(self, record: logging.LogRecord) -> str:
        """The line as it is written."""
        return without_queries(super().format(record))
