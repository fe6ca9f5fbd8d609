"""Insects drawn from above, for photographs of light sheets that never were.

Shapes are given for the right half of an insect of length 1 that looks up, x to the right and y down, and are
mirrored. Everything is drawn three times too large and shrunk, so that legs and wing edges are smooth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int, int]

OVERSIZE = 3
REACH = 2.6
"""Side of the canvas in lengths: room for spread wings and long legs."""

WING_COLOURS = (
    (92, 70, 52),
    (128, 98, 70),
    (166, 124, 78),
    (196, 140, 60),
    (190, 110, 40),
    (110, 104, 98),
    (148, 142, 132),
    (70, 58, 54),
    (46, 40, 40),
    (134, 150, 104),
    (196, 184, 156),
)
DARK_COLOURS = ((28, 24, 24), (44, 34, 28), (20, 20, 26), (60, 40, 28))


class _Canvas:
    """A transparent picture with the unit coordinates of one insect."""

    def __init__(self, length: float) -> None:
        self.scale = length * OVERSIZE
        side = int(self.scale * REACH) + 4 * OVERSIZE
        self.image = Image.new("RGBA", (side, side), (0, 0, 0, 0))

    def _place(self, point: Point, side: int) -> Point:
        middle = self.image.width / 2
        return middle + side * point[0] * self.scale, middle + point[1] * self.scale

    def shape(self, points: Sequence[Point], colour: Colour) -> None:
        """A rounded shape on both sides."""
        clear = colour[3] < 255
        layer = Image.new("RGBA", self.image.size, (0, 0, 0, 0)) if clear else self.image
        curve = _rounded(points)
        for side in (1, -1):
            ImageDraw.Draw(layer).polygon([self._place((x, y), side) for x, y in curve], fill=colour)
        if clear:
            self.image.alpha_composite(layer)

    def ellipse(self, centre: Point, radii: Point, colour: Colour) -> None:
        """An ellipse on the axis, or one on each side."""
        draw = ImageDraw.Draw(self.image)
        for side in (1, -1):
            x, y = self._place(centre, side)
            across, along = radii[0] * self.scale, radii[1] * self.scale
            draw.ellipse((x - across, y - along, x + across, y + along), fill=colour)

    def limb(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """A leg or a feeler on both sides; `width` in lengths, never thinner than can be seen."""
        draw = ImageDraw.Draw(self.image)
        pixels = max(OVERSIZE, round(width * self.scale))
        for side in (1, -1):
            draw.line(
                [self._place(point, side) for point in points], fill=colour, width=pixels, joint="curve"
            )

    def pattern(self, rng: np.random.Generator, bands: int, spots: int, contrast: float) -> None:
        """Bands and spots, the same on both wings, only where there is something to paint on."""
        layer = Image.new("RGBA", self.image.size, (0, 0, 0, 0))
        draw = ImageDraw.Draw(layer)
        for _ in range(bands):
            y, slope, shade = rng.uniform(-0.2, 0.5), rng.uniform(-0.5, 0.7), _shade(rng, contrast)
            width = max(1, round(rng.uniform(0.015, 0.06) * self.scale))
            for side in (1, -1):
                ends = [self._place((x, y + slope * x), side) for x in (0.0, 1.0)]
                draw.line(ends, fill=shade, width=width)
        for _ in range(spots):
            centre, radius = (rng.uniform(0.1, 0.6), rng.uniform(-0.15, 0.45)), rng.uniform(0.02, 0.06)
            shade = _shade(rng, contrast)
            for side in (1, -1):
                x, y = self._place(centre, side)
                reach = radius * self.scale
                draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=shade)
        layer.putalpha(ImageChops.multiply(layer.getchannel("A"), self.image.getchannel("A")))
        self.image.alpha_composite(layer)

    def scales(self, rng: np.random.Generator, strength: float) -> None:
        """The grain of scales and hair: light and dark within the shape."""
        pixels = np.asarray(self.image).astype(np.float32)
        coarse = rng.normal(1.0, strength, size=(pixels.shape[0] // 4 + 1, pixels.shape[1] // 4 + 1))
        grain = coarse.repeat(4, axis=0).repeat(4, axis=1)[: pixels.shape[0], : pixels.shape[1], None]
        pixels[..., :3] = np.clip(pixels[..., :3] * grain, 0, 255)
        self.image = Image.fromarray(pixels.astype(np.uint8))


def draw_insect(rng: np.random.Generator, length: float) -> Image.Image:
    """An RGBA picture of one insect, turned at random and cut to size.

    `length` is that of a moth from head to tail, in pixels; flies and their like are drawn smaller.
    """
    kind = int(rng.choice(len(_KINDS), p=_SHARES))
    draw_kind, size = _KINDS[kind], _SIZES[kind]
    canvas = _Canvas(max(12.0, length * size))
    draw_kind(rng, canvas)
    canvas.scales(rng, 0.10)
    turned = canvas.image.rotate(float(rng.uniform(0, 360)), resample=Image.Resampling.BICUBIC)
    small = turned.reduce(OVERSIZE)
    return small.crop(small.getchannel("A").point(lambda alpha: 255 if alpha > 40 else 0).getbbox())


def _resting_moth(rng: np.random.Generator, canvas: _Canvas) -> None:
    wing = _pick(rng, WING_COLOURS)
    body = _darker(wing, rng.uniform(0.5, 0.9))
    spread = rng.uniform(0.32, 0.55)
    _six_legs(rng, canvas, _darker(body, 0.6), reach=0.32, width=0.018)
    canvas.limb([(0.03, -0.42), (0.14, -0.58), (0.26, -0.66)], 0.012, _darker(body, 0.6))
    canvas.shape([(0, -0.3), (0.2, -0.22), (spread, 0.38), (spread * 0.85, 0.5), (0, 0.42)], wing)
    canvas.pattern(rng, bands=int(rng.integers(1, 5)), spots=int(rng.integers(0, 4)), contrast=0.9)
    canvas.ellipse((0, -0.28), (0.10, 0.15), body)
    canvas.ellipse((0, -0.44), (0.06, 0.05), _darker(body, 0.8))


def _spread_moth(rng: np.random.Generator, canvas: _Canvas) -> None:
    wing = _pick(rng, WING_COLOURS)
    body = _darker(wing, rng.uniform(0.5, 0.9))
    span = rng.uniform(0.75, 1.05)
    canvas.limb([(0.03, -0.38), (0.12, -0.52), (0.24, -0.60)], 0.012, body)
    canvas.shape([(0, 0.0), (span * 0.6, 0.12), (span * 0.55, 0.45), (0.1, 0.4)], _darker(wing, 0.93))
    canvas.shape([(0, -0.26), (span, -0.34), (span * 0.95, -0.05), (span * 0.6, 0.16), (0, 0.12)], wing)
    canvas.pattern(rng, bands=int(rng.integers(2, 6)), spots=int(rng.integers(0, 5)), contrast=0.8)
    canvas.ellipse((0, 0.12), (0.07, 0.36), body)
    canvas.ellipse((0, -0.32), (0.07, 0.09), _darker(body, 0.8))


def _slim_moth(rng: np.random.Generator, canvas: _Canvas) -> None:
    wing = _pick(rng, WING_COLOURS)
    canvas.limb([(0.02, -0.42), (0.10, -0.62), (0.13, -0.80)], 0.012, _darker(wing, 0.5))
    _six_legs(rng, canvas, _darker(wing, 0.5), reach=0.22, width=0.015)
    canvas.shape([(0, -0.46), (0.10, -0.34), (0.15, 0.3), (0.11, 0.5), (0, 0.47)], wing)
    canvas.pattern(rng, bands=int(rng.integers(0, 3)), spots=int(rng.integers(0, 3)), contrast=0.7)
    canvas.ellipse((0, -0.42), (0.06, 0.07), _darker(wing, 0.7))


def _beetle(rng: np.random.Generator, canvas: _Canvas) -> None:
    shell = _pick(rng, DARK_COLOURS)
    _six_legs(rng, canvas, _darker(shell, 0.8), reach=0.46, width=0.03)
    canvas.limb([(0.05, -0.46), (0.16, -0.6)], 0.015, shell)
    canvas.ellipse((0, 0.1), (0.27, 0.4), shell)
    canvas.ellipse((0, -0.28), (0.22, 0.14), _darker(shell, 0.85))
    canvas.ellipse((0, -0.42), (0.12, 0.08), _darker(shell, 0.7))
    canvas.limb([(0.0, -0.14), (0.0, 0.48)], 0.01, _darker(shell, 0.4))
    canvas.ellipse((0.1, 0.0), (0.03, 0.12), _lighter(shell, 60))


def _fly(rng: np.random.Generator, canvas: _Canvas) -> None:
    body = _pick(rng, DARK_COLOURS)
    _six_legs(rng, canvas, body, reach=0.44, width=0.022)
    canvas.ellipse((0, 0.16), (0.14, 0.28), body)
    canvas.ellipse((0, -0.18), (0.15, 0.17), _lighter(body, 12))
    canvas.ellipse((0.05, -0.4), (0.09, 0.08), (90, 30, 24, 255))
    canvas.shape([(0.05, -0.15), (0.34, 0.2), (0.3, 0.48), (0.12, 0.36)], (120, 116, 110, 110))


def _midge(rng: np.random.Generator, canvas: _Canvas) -> None:
    body = _pick(rng, DARK_COLOURS)
    long_legs = rng.uniform(0.45, 0.8)
    _six_legs(rng, canvas, _lighter(body, 25), reach=long_legs, width=0.016)
    canvas.shape([(0.03, -0.2), (0.16, 0.1), (0.13, 0.42), (0.04, 0.3)], (130, 126, 120, 100))
    canvas.ellipse((0, 0.12), (0.07, 0.36), body)
    canvas.ellipse((0, -0.28), (0.10, 0.11), _darker(body, 0.8))


_Draw = Callable[[np.random.Generator, _Canvas], None]
_KINDS: tuple[_Draw, ...] = (_resting_moth, _spread_moth, _slim_moth, _beetle, _fly, _midge)
_SHARES = (0.28, 0.18, 0.16, 0.12, 0.14, 0.12)
_SIZES = (1.0, 0.8, 0.8, 0.7, 0.5, 0.45)


def _six_legs(rng: np.random.Generator, canvas: _Canvas, colour: Colour, reach: float, width: float) -> None:
    for start, knee, foot in ((-0.24, -0.36, -0.46), (-0.12, -0.06, 0.1), (0.0, 0.2, 0.44)):
        bend = float(rng.uniform(0.8, 1.2))
        canvas.limb([(0.05, start), (reach * 0.62 * bend, knee), (reach, foot * bend)], width, colour)


def _rounded(points: Sequence[Point]) -> npt.NDArray[np.float64]:
    """A smooth closed curve near the points, by cutting the corners twice (Chaikin)."""
    curve = np.asarray(points, dtype=np.float64)
    for _ in range(2):
        following = np.roll(curve, -1, axis=0)
        curve = np.stack([0.75 * curve + 0.25 * following, 0.25 * curve + 0.75 * following], axis=1)
        curve = curve.reshape(-1, 2)
    return curve


def _pick(rng: np.random.Generator, colours: Sequence[tuple[int, int, int]]) -> Colour:
    red, green, blue = colours[int(rng.integers(len(colours)))]
    shift = int(rng.integers(-12, 13))
    return _limit(red + shift), _limit(green + shift), _limit(blue + shift), 255


def _shade(rng: np.random.Generator, contrast: float) -> Colour:
    light = rng.random() < 0.4
    level = 255 - 70 * contrast * rng.random() if light else 90 * rng.random()
    return _limit(level), _limit(level * 0.94), _limit(level * 0.86), int(120 + 135 * contrast * rng.random())


def _darker(colour: Colour, factor: float) -> Colour:
    return _limit(colour[0] * factor), _limit(colour[1] * factor), _limit(colour[2] * factor), colour[3]


def _lighter(colour: Colour, step: int) -> Colour:
    return _limit(colour[0] + step), _limit(colour[1] + step), _limit(colour[2] + step), colour[3]


def _limit(level: float) -> int:
    return int(min(255, max(0, level)))
