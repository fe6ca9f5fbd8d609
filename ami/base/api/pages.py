"""The API as pages, for people who look at it with a browser."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.http import Http404
from rest_framework.exceptions import APIException
from rest_framework.renderers import BrowsableAPIRenderer

from ami.base.errors import AmiError

if TYPE_CHECKING:  # views import their renderers
    from rest_framework.request import Request
    from rest_framework.views import APIView

_REFUSALS = (APIException, AmiError, Http404)


class PageRenderer(BrowsableAPIRenderer):
    """Django REST framework's pages; where a form cannot be made, the page comes without it.

    Forms are made from the request after the view is done with it. What is wrong with it, such as a body of
    an unknown type that the view did not read, would turn an answer that was already right into a 500.
    """

    def get_rendered_html_form(self, data: Any, view: APIView, method: str, request: Request) -> Any:
        """The form with fields."""
        with suppress(*_REFUSALS):
            return super().get_rendered_html_form(data, view, method, request)
        return None

    def get_raw_data_form(self, data: Any, view: APIView, method: str, request: Request) -> Any:
        """The form for a body as text."""
        with suppress(*_REFUSALS):
            return super().get_raw_data_form(data, view, method, request)
        return None
