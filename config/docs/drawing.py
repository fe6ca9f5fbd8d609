"""A small drawing of boxes, frames and arrows as SVG: it looks the same everywhere and needs no script.

The paper is light in every theme, for a picture cannot know which theme the page around it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

Point = tuple[float, float]

STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #23261f; }
.paper { fill: #fbfaf7; stroke: #dfddd3; }
.frame { fill: #f1f0e9; stroke: #c9c6b8; }
.frame.inner { fill: #e6f0e4; stroke: #a9c7ab; }
.box { fill: #fff; stroke: #62675c; stroke-width: 1.25; }
.box.rare { stroke: #b5b3a6; stroke-dasharray: 3 3; }
.box.good { fill: #2c6e49; stroke: #2c6e49; }
.box.bad { fill: #a4341f; stroke: #a4341f; }
.box.grey { fill: #62675c; stroke: #62675c; }
.name { font-size: 14px; font-weight: 600; text-anchor: middle; }
.word { font-size: 12px; text-anchor: middle; fill: #62675c; }
.white { fill: #fff; }
.title { font-size: 12px; font-weight: 600; fill: #62675c; }
.label { font-size: 12px; fill: #23261f; }
.arrow { fill: none; stroke: #23261f; stroke-width: 1.5; }
.arrow.again { stroke: #2c6e49; stroke-dasharray: 6 4; }
.head { fill: #23261f; }
.head.again { fill: #2c6e49; }
"""

CORNER = 8.0
HEAD = 9.0


@dataclass
class Drawing:
    """Collects shapes; `text()` is the file. `words` say the drawing to who cannot see it."""

    width: int
    height: int
    words: str
    _shapes: list[str] = field(default_factory=list)

    def frame(self, x: float, y: float, width: float, height: float, title: str, kind: str = "") -> None:
        """A frame around boxes, with its title in the upper left corner."""
        self._rect(x, y, width, height, f"frame {kind}".strip(), radius=10)
        self._text(x + 12, y + 19, title, "title")

    def box(self, x: float, y: float, name: str, word: str, kind: str = "", width: float = 126) -> None:
        """A state: its name, and what people call it. 44 units high."""
        self._rect(x, y, width, 44, f"box {kind}".strip(), radius=6)
        white = " white" if kind in {"good", "bad", "grey"} else ""
        self._text(x + width / 2, y + 19, name, f"name{white}")
        self._text(x + width / 2, y + 35, word, f"word{white}")

    def arrow(
        self, points: Sequence[Point], label: str = "", at: Point | None = None, kind: str = ""
    ) -> None:
        """An arrow along straight lines with round corners; `at`: where its label begins."""
        (x1, y1), (x2, y2) = points[-2], points[-1]
        length = abs(x2 - x1) + abs(y2 - y1)  # the lines are level or upright
        dx, dy = (x2 - x1) / length, (y2 - y1) / length
        end = (x2 - dx * HEAD, y2 - dy * HEAD)
        line = _path([*points[:-1], end])
        self._shapes.append(f'<path class="{f"arrow {kind}".strip()}" d="{line}"/>')
        corners = " ".join(
            f"{x:g},{y:g}"
            for x, y in (
                (x2, y2),
                (end[0] - dy * HEAD / 2, end[1] + dx * HEAD / 2),
                (end[0] + dy * HEAD / 2, end[1] - dx * HEAD / 2),
            )
        )
        self._shapes.append(f'<polygon class="{f"head {kind}".strip()}" points="{corners}"/>')
        if at:
            self._text(*at, label, "label")

    def note(self, x: float, y: float, text: str) -> None:
        """Words beside the shapes."""
        self._text(x, y, text, "label")

    def text(self) -> str:
        """The file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img">'
        )
        inner = f'width="{self.width - 1}" height="{self.height - 1}"'
        paper = f'<rect class="paper" x="0.5" y="0.5" {inner} rx="10"/>'
        parts = [head, f"<title>{escape(self.words)}</title>", f"<style>{STYLE}</style>", paper]
        return "\n".join([*parts, *self._shapes, "</svg>"]) + "\n"

    def _rect(self, x: float, y: float, width: float, height: float, kind: str, *, radius: float) -> None:
        place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
        self._shapes.append(f'<rect class="{kind}" {place} rx="{radius:g}"/>')

    def _text(self, x: float, y: float, text: str, kind: str) -> None:
        self._shapes.append(f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>')


def _path(points: Sequence[Point]) -> str:
    """Straight lines between the points; each corner is rounded."""
    parts = [f"M{points[0][0]:g},{points[0][1]:g}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        near, far = _towards(corner, before), _towards(corner, after)
        parts.append(f"L{near[0]:g},{near[1]:g} Q{corner[0]:g},{corner[1]:g} {far[0]:g},{far[1]:g}")
    parts.append(f"L{points[-1][0]:g},{points[-1][1]:g}")
    return " ".join(parts)


def _towards(corner: Point, other: Point) -> Point:
    """A little way from the corner on the line to the other point."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = abs(dx) + abs(dy)
    share = min(CORNER, length / 2) / length
    return corner[0] + dx * share, corner[1] + dy * share
