"""Photographs of light sheets that never were, with insects whose true boxes are known.

For tests and demonstrations without anybody's data. A sheet has what makes real ones hard: a lamp that fades
towards the corners, cloth and noise, soft shadows, dust, fibres, stains, and the date that the camera prints.
Only the insects have boxes. The same seed makes the same sheet.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from ami.worker.boxes import Box
from ami.worker.drawn_insects import draw_insect

MIN_LENGTH = 0.012
MAX_LENGTH = 0.09
"""Length of an insect from head to tail, as a part of the long side of the photograph."""
TOUCHING = 0.03
"""Share of insects that may sit on top of each other."""
VISIBLE = 96
"""Opacity, of 255, from which a pixel of an insect counts for its box."""


def make_sheet(
    seed: int, size: tuple[int, int] = (1600, 1200), insects: int = 12, taken_at: datetime | None = None
) -> tuple[Image.Image, list[Box]]:
    """An RGB photograph of this width and height, and the boxes of its insects; fewer if there is no room.

    `taken_at`: what the camera prints into the corner; left out, it is by chance.
    """
    rng = np.random.default_rng(seed)
    light = _illumination(rng, size)
    sheet = Image.fromarray(np.clip(light * 255, 0, 255).astype(np.uint8))
    _soil(rng, sheet)
    boxes: list[Box] = []
    for _ in range(insects):
        length = max(size) * float(np.exp(rng.uniform(np.log(MIN_LENGTH), np.log(MAX_LENGTH))))
        sprite = _lit(draw_insect(rng, length), float(light.mean()))
        corner = _free_corner(rng, sprite.size, size, boxes)
        if corner is not None:
            boxes.append(_paste(rng, sheet, sprite, corner))
    photograph = _photograph(rng, sheet)
    _print_date(photograph, taken_at or _some_night(rng))
    return photograph, boxes


def _illumination(rng: np.random.Generator, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Height x width x 3, 0 to 1: a lamp somewhere behind the cloth, darker corners, folds."""
    width, height = size
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    lamp_x, lamp_y = rng.uniform(-0.5, 0.5, size=2)
    distance = np.sqrt((x - lamp_x) ** 2 + (y - lamp_y) ** 2)
    level = rng.uniform(0.78, 0.92) - rng.uniform(0.08, 0.2) * distance**1.5
    for _ in range(int(rng.integers(0, 4))):
        angle, reach = rng.uniform(0, np.pi), rng.uniform(0.2, 0.5)
        across = x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-1, 1)
        level = level - rng.uniform(0.01, 0.04) * np.exp(-((across / reach) ** 2))
    tint = 1 + rng.uniform(-0.05, 0.03, size=3).astype(np.float32)
    light: npt.NDArray[np.float32] = (level[..., None] * tint).astype(np.float32)
    return light


def _soil(rng: np.random.Generator, sheet: Image.Image) -> None:
    """Dust, fibres and pale stains: what a person does not take for an insect."""
    draw = ImageDraw.Draw(sheet, "RGBA")
    unit = max(sheet.size) / 1600
    for _ in range(int(rng.integers(40, 120))):
        x, y, reach = rng.uniform(0, sheet.width), rng.uniform(0, sheet.height), rng.uniform(0.4, 1.6) * unit
        draw.ellipse(
            (x - reach, y - reach, x + reach, y + reach), fill=(60, 55, 50, int(rng.integers(60, 220)))
        )
    for _ in range(int(rng.integers(5, 25))):
        x, y, angle = rng.uniform(0, sheet.width), rng.uniform(0, sheet.height), rng.uniform(0, 2 * np.pi)
        reach = rng.uniform(6, 22) * unit
        bend = (x + reach * np.cos(angle) / 2 + rng.normal(0, 2), y + reach * np.sin(angle) / 2)
        end = (x + reach * np.cos(angle), y + reach * np.sin(angle))
        draw.line([(x, y), bend, end], fill=(110, 105, 100, 110), width=max(1, round(unit)))
    for _ in range(int(rng.integers(0, 4))):
        x, y, reach = rng.uniform(0, sheet.width), rng.uniform(0, sheet.height), rng.uniform(4, 12) * unit
        draw.ellipse((x - reach, y - reach, x + reach, y + reach * 0.8), fill=(190, 160, 120, 60))


def _lit(sprite: Image.Image, level: float) -> Image.Image:
    """The insect in the light of its sheet."""
    pixels = np.asarray(sprite).astype(np.float32)
    pixels[..., :3] *= 0.55 + 0.5 * level
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _free_corner(
    rng: np.random.Generator, sprite: tuple[int, int], size: tuple[int, int], taken: list[Box]
) -> tuple[int, int] | None:
    """Where to put an insect so that it lies inside and, as a rule, apart from the others."""
    room = size[0] - sprite[0] - 4, size[1] - sprite[1] - 4
    if min(room) < 4:
        return None
    gap = -4 if rng.random() < TOUCHING else 8
    for _ in range(60):
        left, top = int(rng.integers(4, room[0] + 1)), int(rng.integers(4, room[1] + 1))
        around = Box(left - gap, top - gap, left + sprite[0] + gap, top + sprite[1] + gap)
        if all(around.iou(box) == 0.0 for box in taken):
            return left, top
    return None


def _paste(rng: np.random.Generator, sheet: Image.Image, sprite: Image.Image, corner: tuple[int, int]) -> Box:
    """Put the insect and its soft shadow on the sheet; the box holds the insect without the shadow."""
    alpha = sprite.getchannel("A")
    reach = max(2, max(sprite.size) // 25)
    shadow = Image.new("L", (sprite.width + 6 * reach, sprite.height + 6 * reach))
    shadow.paste(alpha.point(lambda value: int(value * 0.3)), (3 * reach, 3 * reach))
    shadow = shadow.filter(ImageFilter.GaussianBlur(reach))
    drift = int(rng.integers(-reach, reach + 1)), int(rng.integers(0, reach + 1))
    black = Image.new("RGB", shadow.size, (30, 28, 30))
    sheet.paste(black, (corner[0] - 3 * reach + drift[0], corner[1] - 3 * reach + drift[1]), shadow)
    sheet.paste(sprite, corner, alpha)
    visible = alpha.point(lambda value: 255 if value >= VISIBLE else 0).getbbox() or alpha.getbbox()
    left, top, right, bottom = visible or (0, 0, *sprite.size)
    x, y = map(float, corner)
    return Box(x + left, y + top, x + right, y + bottom)


def _photograph(rng: np.random.Generator, sheet: Image.Image) -> Image.Image:
    """What lens and sensor make of it: weave of the cloth, a little blur, noise."""
    width, height = sheet.size
    pitch = rng.uniform(3.0, 6.0)
    threads = np.sin(np.arange(max(width, height), dtype=np.float32) * 2 * np.pi / pitch)
    cloth = float(rng.uniform(0.5, 2.0)) * (threads[None, :width] + threads[:height, None])
    cloth += rng.uniform(1.0, 3.0) * rng.standard_normal((height, width), dtype=np.float32)
    blurred = np.asarray(sheet.filter(ImageFilter.GaussianBlur(0.6))).astype(np.float32)
    grain = 1.5 * rng.standard_normal(blurred.shape, dtype=np.float32)
    return Image.fromarray(np.clip(blurred + cloth[..., None] + grain, 0, 255).astype(np.uint8))


def _some_night(rng: np.random.Generator) -> datetime:
    return datetime(2026, 7, int(rng.integers(1, 29)), 23, int(rng.integers(0, 60)))  # noqa: DTZ001 - a camera's


def _print_date(photograph: Image.Image, taken_at: datetime) -> None:
    """The date and time that many cameras print into the lower right corner."""
    font = ImageFont.load_default(size=max(10, round(max(photograph.size) / 130)))
    ImageDraw.Draw(photograph).text(
        (photograph.width - 6, photograph.height - 4),
        f"{taken_at:%Y-%m-%d %H:%M:%S}",
        fill="white",
        stroke_fill="black",
        stroke_width=1,
        font=font,
        anchor="rs",
    )
