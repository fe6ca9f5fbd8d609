"""Draw finds on a photograph, for people who want to see what a pipeline saw."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from ami.worker.pipeline import Found

COLOURS = ("#e6194b", "#0072b2", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")
"""One a label, told apart with any kind of colour vision; the first is for finds without a label."""


def draw_finds(
    image: Image.Image, finds: Sequence[Found], *, labels: Sequence[str] = (), max_side: int | None = None
) -> Image.Image:
    """A copy of the photograph with a box, a label and a score for each find.

    `labels`: all that the pipeline knows, so that a label has the same colour on every picture.
    `max_side`: the copy is shrunk to this many pixels first.
    """
    picture = image.convert("RGB")
    scale = 1.0 if max_side is None else min(1.0, max_side / max(picture.size))
    if scale < 1.0:
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    line = max(1, round(max(picture.size) / 800))
    font = ImageFont.load_default(size=max(10, 6 * line))
    draw = ImageDraw.Draw(picture)
    colours = _colours_by_label(finds, labels)
    for find in finds:
        box, label = find.bounds, _label(find)
        colour = colours[label]
        corners = (box.x1 * scale, box.y1 * scale, box.x2 * scale, box.y2 * scale)
        draw.rectangle(corners, outline=colour, width=line)
        _write(draw, (corners[0], corners[3] + line), _caption(find), colour, font)
    return picture


def _label(find: Found) -> str | None:
    """The last word: the terminal classification, else the last one."""
    terminal = [item.label for item in find.classifications if item.terminal]
    if terminal:
        return terminal[-1]
    return find.classifications[-1].label if find.classifications else None


def _caption(find: Found) -> str:
    score = "" if find.score is None else f"{find.score:.2f}"
    return " ".join(part for part in (_label(find), score) if part)


def _colours_by_label(finds: Sequence[Found], known: Sequence[str]) -> dict[str | None, str]:
    others = {label for label in map(_label, finds) if label is not None and label not in known}
    labels = [*known, *sorted(others)]
    colours: dict[str | None, str] = {None: COLOURS[0]}
    colours |= {label: COLOURS[1 + index % (len(COLOURS) - 1)] for index, label in enumerate(labels)}
    return colours


def _write(
    draw: ImageDraw.ImageDraw,
    corner: tuple[float, float],
    text: str,
    colour: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """White on the colour of the box, so that it can be read on any wing."""
    if not text:
        return
    draw.rectangle(draw.textbbox(corner, text, font=font), fill=colour)
    draw.text(corner, text, fill="white", font=font)
