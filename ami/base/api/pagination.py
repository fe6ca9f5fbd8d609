"""Pages: `limit` and `offset`, in the envelope that existing clients read."""

from __future__ import annotations

import contextlib
from typing import Any

from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Pagination(LimitOffsetPagination):
    """Limit and offset; `page_size` is another word for `limit`.

    A view changes its own default with `default_limit`, and says with `envelope_permissions()` what the
    caller may do with the list as a whole. Nothing is ever written to this class.
    """

    default_limit = 20
    max_limit = 1000
    _view: Any = None

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        """The rows of the page that the request asks for."""
        self._view = view
        return super().paginate_queryset(queryset, request, view)

    def get_limit(self, request: Request) -> int:
        """`limit`, else `page_size`, else the view's default; nonsense counts as absent."""
        for name in ("limit", "page_size"):
            with contextlib.suppress(KeyError, ValueError):
                asked = int(request.query_params[name])
                if asked > 0:
                    return min(asked, self.max_limit)
        return int(getattr(self._view, "default_limit", self.default_limit))

    def get_paginated_response(self, data: Any) -> Response:
        """The envelope, in the order of the contract."""
        permissions = getattr(self._view, "envelope_permissions", None)
        return Response(
            {
                "count": self.count,
                "next": self.get_next_link(),
                "previous": self.get_previous_link(),
                "results": data,
                "user_permissions": permissions() if permissions else [],
            }
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The envelope for the OpenAPI page."""
        envelope = super().get_paginated_response_schema(schema)
        envelope["properties"]["user_permissions"] = {"type": "array", "items": {"type": "string"}}
        return envelope
