"""Somebody who uses the pages: logs in, reads, and presses buttons, as the forms on the pages say."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import requests

from ami.demo.errors import DemoError

SECONDS = 30
POLL_SECONDS = 0.2
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Visitor:
    """A person with an account. Raises DemoError where a page is not as it should be."""

    def __init__(self, url: str, email: str, password: str) -> None:
        """Log in. `url`: scheme, host and port."""
        self._url = url
        self._session = requests.Session()
        self.press("/login/", "/login/", {"username": email, "password": password, "next": "/overview/"})

    @property
    def cookies(self) -> dict[str, str]:
        """What makes the server know this person."""
        return {cookie.name: cookie.value or "" for cookie in self._session.cookies}

    def read(self, path: str) -> str:
        """A page."""
        answer = self._session.get(self._url + path, timeout=SECONDS)
        if not answer.ok:
            raise DemoError(f"{path} was answered {answer.status_code}.")
        return answer.text

    def press(self, page: str, path: str, fields: Mapping[str, str]) -> str:
        """Send a form of `page` to `path`; returns the path of the page that follows."""
        token = _TOKEN.search(self.read(page))
        if token is None:
            raise DemoError(f"{page} has no form.")
        fields = {**fields, "csrfmiddlewaretoken": token[1]}
        answer = self._session.post(self._url + path, data=fields, timeout=SECONDS)
        if not answer.ok or not answer.history:
            raise DemoError(f"The form of {page} was answered {answer.status_code}, and led nowhere.")
        return str(answer.url).removeprefix(self._url)

    def wait_for(self, path: str, words: str) -> str:
        """Read a page until it has these words."""
        deadline = time.monotonic() + SECONDS
        while words not in (text := self.read(path)):
            if time.monotonic() > deadline:
                raise DemoError(f"{path} did not say {words!r} within {SECONDS} s.")
            time.sleep(POLL_SECONDS)
        return text
