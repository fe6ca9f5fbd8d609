"""Things on a photograph that are no insects: shadows out of focus, bolt heads, print, the edge of the frame.

Each function looks at one blob and says yes or no; `is_artefact` asks them all. What belongs to the station
is recognised while it is still in one piece, before insects that touch are parted.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage  # type: ignore[import-untyped]

from ami.worker.pipelines.contours.background import Mask
from ami.worker.pipelines.contours.blobs import Blob

MAX_SIDE = 0.5
"""No insect is wider or higher than this part of the photograph."""

MIN_SHARPNESS = 0.23
"""Rise of the contrast across five pixels of a sharp outline, as a part of the blob's strength."""

FRAME_ASPECT = 4.0
"""A strip at the edge of the photograph, this many times longer than deep, is the frame or print."""

MIN_BOLT_DIAMETER = 24.0
MAX_BOLT_ERROR = 0.035
"""Mean distance of a bolt's outline from its best circle, in radii."""
MIN_BOLT_SOLIDITY = 0.75

PRINT_SLOPE = 0.2
"""Tangent of the angle to the axis up to which an edge counts as running exactly across or down."""
MIN_PRINT_ONE_WAY = 0.16
MIN_PRINT_EDGES = 0.47
"""Part of the edges that run across or down in rulers and letters; 0.25 where edges run every way."""
MIN_OVERLAY_EDGES = 0.37
"""The same for the margin of the photograph, where cameras print date and time."""
MARGIN = 0.03
"""Height of that margin at the top and the bottom, as a part of the photograph."""

FrameEdges = tuple[bool, bool, bool, bool]
"""Whether a blob touches the top, left, bottom and right edge of the photograph."""


def is_artefact(blob: Blob, photograph: Image.Image, factor: int) -> bool:
    """Whether the blob is certainly no insect; `factor` is pixels of the photograph per pixel of the blob."""
    shape = (photograph.height // factor, photograph.width // factor)
    return is_too_large(blob, shape) or is_blurred(blob) or is_fixture(blob, photograph, factor)


def is_fixture(blob: Blob, photograph: Image.Image, factor: int) -> bool:
    """Whether the blob belongs to the station: frame, bolt, ruler, date. Ask before bodies are parted."""
    shape = (photograph.height // factor, photograph.width // factor)
    edges = touched_edges(blob, shape)
    return (
        is_frame(blob, edges)
        or is_line_of_text(blob, shape)
        or is_bolt(blob, edges)
        or is_printed(blob, photograph, factor)
    )


def touched_edges(blob: Blob, shape: tuple[int, int]) -> FrameEdges:
    """Which edges of a photograph of this height and width cut the blob."""
    bottom, right = blob.top + blob.height, blob.left + blob.width
    return blob.top <= 1, blob.left <= 1, bottom >= shape[0] - 1, right >= shape[1] - 1


def is_too_large(blob: Blob, shape: tuple[int, int]) -> bool:
    """A curtain, a hand, a night without a lamp."""
    return blob.height > MAX_SIDE * shape[0] or blob.width > MAX_SIDE * shape[1]


def is_blurred(blob: Blob) -> bool:
    """Shadows and things before the lens have soft outlines; what sits on the sheet is sharp somewhere.

    The outline is taken at half of the strength: further out lies the soft shadow that every moth has.
    """
    padded = np.pad(blob.smooth, 2, mode="edge")
    rise = ndimage.maximum_filter(padded, 5).astype(np.int16) - ndimage.minimum_filter(padded, 5)
    half = blob.mask & (blob.smooth > (blob.threshold + blob.strength) / 2)
    outline = half & ~ndimage.binary_erosion(half)
    if not outline.any():
        return False
    return float(np.percentile(rise[2:-2, 2:-2][outline], 75)) < MIN_SHARPNESS * blob.strength


def is_frame(blob: Blob, edges: FrameEdges) -> bool:
    """A thin strip along an edge of the photograph: the frame of the sheet, not a cut insect."""
    top, left, bottom, right = edges
    along_row = (top or bottom) and blob.width > FRAME_ASPECT * blob.height
    along_column = (left or right) and blob.height > FRAME_ASPECT * blob.width
    return along_row or along_column


def is_line_of_text(blob: Blob, shape: tuple[int, int]) -> bool:
    """A wide strip that lies wholly in the margin: date and time, printed by the camera."""
    return _in_margin(blob.top, blob.top + blob.height, shape[0]) and blob.width > FRAME_ASPECT * blob.height


def is_bolt(blob: Blob, edges: FrameEdges) -> bool:
    """A filled, nearly perfect circle, whole or cut by the edge of the photograph."""
    if max(blob.mask.shape) < MIN_BOLT_DIAMETER:
        return False
    solid = ndimage.binary_fill_holes(_without_legs(blob.mask))
    outline = solid & ~ndimage.binary_erosion(solid, border_value=1)
    rows, columns = np.nonzero(_without_cut(outline, edges))
    if len(rows) < MIN_BOLT_DIAMETER:
        return False
    row, column, radius = _fit_circle(rows, columns)
    if 2 * radius < MIN_BOLT_DIAMETER:
        return False
    error = float(np.abs(np.hypot(rows - row, columns - column) - radius).mean()) / radius
    disc = np.hypot(np.arange(solid.shape[0])[:, None] - row, np.arange(solid.shape[1]) - column) < radius
    filled = disc.sum() > solid.sum() / 2 and solid[disc].mean() > MIN_BOLT_SOLIDITY
    return error < MAX_BOLT_ERROR and bool(filled)


def is_printed(blob: Blob, photograph: Image.Image, factor: int) -> bool:
    """Letters, rulers and scale bars: most edges run exactly across or down, and both ways."""
    left, top = factor * blob.left - 2, factor * blob.top - 2
    right, bottom = factor * (blob.left + blob.width) + 2, factor * (blob.top + blob.height) + 2
    gray = np.asarray(photograph.crop((left, top, right, bottom)).convert("L"), dtype=np.float32)
    inside = gray[max(0, -top) :, max(0, -left) :][: photograph.height - top, : photograph.width - left]
    down, across = np.gradient(inside)
    weight = np.hypot(down, across)
    total = float(weight.sum())
    if total == 0.0:
        return False
    level = float(weight[np.abs(across) < PRINT_SLOPE * np.abs(down)].sum()) / total
    upright = float(weight[np.abs(down) < PRINT_SLOPE * np.abs(across)].sum()) / total
    least = MIN_OVERLAY_EDGES if _in_margin(top, bottom, photograph.height) else MIN_PRINT_EDGES
    return min(level, upright) > MIN_PRINT_ONE_WAY and level + upright > least


def _in_margin(top: int, bottom: int, height: int) -> bool:
    return bottom < MARGIN * height or top > (1 - MARGIN) * height


def _without_legs(mask: Mask) -> Mask:
    opened: Mask = ndimage.binary_opening(np.pad(mask, 4, mode="edge"), np.ones((5, 5)))
    return opened[4:-4, 4:-4]


def _without_cut(outline: Mask, edges: FrameEdges) -> Mask:
    """The outline without the straight line along which the edge of the photograph cuts."""
    kept = outline.copy()
    top, left, bottom, right = edges
    if top:
        kept[:3] = False
    if left:
        kept[:, :3] = False
    if bottom:
        kept[-3:] = False
    if right:
        kept[:, -3:] = False
    return kept


def _fit_circle(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> tuple[float, float, float]:
    """Least-squares circle (Kåsa): row and column of the centre, and the radius."""
    matrix = np.column_stack([2.0 * rows, 2.0 * columns, np.ones(len(rows))])
    target = rows.astype(np.float64) ** 2 + columns.astype(np.float64) ** 2
    (row, column, rest), *_ = np.linalg.lstsq(matrix, target, rcond=None)
    return float(row), float(column), float(np.sqrt(max(0.0, rest + row**2 + column**2)))
