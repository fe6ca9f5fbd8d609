"""Pages for browsers."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from ami.base.api.json import OrjsonRenderer
from ami.base.api.pages import PageRenderer
from ami.base.errors import InvalidInput


class LampSerializer(serializers.Serializer[Any]):
    """A lamp."""

    colour = serializers.CharField()


class LampView(GenericAPIView[Any]):
    """Switches the lamp on, whatever is posted."""

    renderer_classes = [OrjsonRenderer, PageRenderer]
    parser_classes = [JSONParser]
    authentication_classes = []
    permission_classes = []
    serializer_class = LampSerializer

    def post(self, request: Request) -> Response:
        """Look at no body."""
        return Response(LampSerializer({"colour": "lamp black"}).data)


class MoodyView(LampView):
    """Refuses to make a serializer."""

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse."""
        raise InvalidInput("Not now.")


def page(view: type[LampView], content_type: str) -> tuple[int, str]:
    """What a browser gets for a body of this type."""
    request = APIRequestFactory().generic("POST", "/", "{", content_type, headers={"Accept": "text/html"})
    response = view.as_view()(request).render()
    return response.status_code, response.content.decode()


@pytest.mark.parametrize("view", [LampView, MoodyView])
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json"])
def test_what_is_wrong_with_a_body_that_nobody_read_costs_only_the_form(
    view: type[LampView], content_type: str
) -> None:
    status, text = page(view, content_type)
    assert (status, "lamp black" in text) == (200, True)
