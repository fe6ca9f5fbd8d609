"""Reads a page as a person would: its words, links and pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.test import Client


@dataclass
class Seen:
    """An element with its attributes, and the text in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class PageRead:
    """A page that was read."""

    status: int
    headers: Any
    html: str
    elements: list[Seen] = field(default_factory=list)

    def all(self, tag: str, **wanted: str) -> list[Seen]:
        """Elements of this tag with these attributes, in order; `klass` is the class."""
        asked = {("class" if key == "klass" else key): value for key, value in wanted.items()}
        return [
            seen
            for seen in self.elements
            if seen.tag == tag and all(seen.attributes.get(key) == value for key, value in asked.items())
        ]

    def links(self, start: str) -> list[str]:
        """Where the links go that begin like this, each once."""
        hrefs = [seen.attributes.get("href", "") for seen in self.all("a")]
        return list(dict.fromkeys(href for href in hrefs if href.startswith(start)))

    def link(self, rel: str) -> str | None:
        """Where the link of this relation goes."""
        found = [seen.attributes["href"] for seen in self.all("a", rel=rel)]
        return found[0] if found else None

    @property
    def text(self) -> str:
        """All words, with single spaces."""
        return " ".join(" ".join(seen.text for seen in self.elements if seen.tag == "html").split())


class _Reader(HTMLParser):
    _VOID = frozenset({"meta", "link", "img", "input", "br", "rect", "image", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Seen] = []
        self._open: list[Seen] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Seen(tag, {name: value or "" for name, value in attrs})
        self.seen.append(element)
        if tag not in self._VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while tag not in self._VOID and self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data


def read(client: Client, address: str) -> PageRead:
    """Open an address, without following where it sends."""
    answer: Any = client.get(address)
    html = answer.content.decode() if "html" in answer.headers.get("Content-Type", "") else ""
    reader = _Reader()
    reader.feed(html)
    return PageRead(answer.status_code, answer.headers, html, reader.seen)


def moving(client: Client, address: str) -> str:
    """Where the moving part of a page is."""
    return read(client, address).all("div", id="live")[0].attributes["hx-get"]
