"""Things on a photograph that are no insects: shadows out of focus, bolt heads, print, the edge of the frame.

Each function looks at one blob and says yes or no; `is_artefact` asks them all. What belongs to the station
is recognised while it is still in one piece, before insects that touch are parted.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from scipy import ndimage

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

AXIS_SLOPE = 0.2
"""Tangent of the angle to the axis up to which an edge counts as running exactly across or down."""
MIN_RULER_EDGES = 0.25
"""Part of the edges, each way, in rulers and scale bars; half of that where edges run every way."""
RULER_BLUR = 1.5
"""Pixels of blur before edges are measured, so that the steps of a slanted edge do not count."""

MARGIN = 0.03
"""Part of the photograph at its top and its bottom where cameras print date and time."""
MIN_LETTER_EDGES = 0.16
MIN_LETTER_EDGES_BOTH = 0.37
"""Parts of the edges, each way and together, in letters of a few pixels, without any blur."""

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
        or is_bolt(blob, edges)
        or is_ruler(blob, photograph, factor)
        or is_overlay(blob, photograph, factor)
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


def is_ruler(blob: Blob, photograph: Image.Image, factor: int) -> bool:
    """Rulers and scale bars: most edges run exactly across or down, and as many one way as the other."""
    return min(_axis_edges(blob, photograph, factor, blur=RULER_BLUR)) > MIN_RULER_EDGES


def is_overlay(blob: Blob, photograph: Image.Image, factor: int) -> bool:
    """Date and time that the camera prints into the margin: a long line, or edges like those of letters."""
    height = photograph.height // factor
    if MARGIN * height < blob.top + blob.height and blob.top < (1 - MARGIN) * height:
        return False
    level, upright = _axis_edges(blob, photograph, factor, blur=0.0)
    letters = min(level, upright) > MIN_LETTER_EDGES and level + upright > MIN_LETTER_EDGES_BOTH
    return letters or blob.width > FRAME_ASPECT * blob.height


def _axis_edges(blob: Blob, photograph: Image.Image, factor: int, *, blur: float) -> tuple[float, float]:
    """Which parts of the edges inside the blob's box run exactly across and exactly down."""
    left, top = max(0, factor * blob.left - 2), max(0, factor * blob.top - 2)
    right = min(photograph.width, factor * (blob.left + blob.width) + 2)
    bottom = min(photograph.height, factor * (blob.top + blob.height) + 2)
    gray = photograph.crop((left, top, right, bottom)).convert("L")
    if blur:
        gray = gray.filter(ImageFilter.GaussianBlur(blur))
    down, across = np.gradient(np.asarray(gray, dtype=np.float32))
    weight = np.hypot(down, across)
    total = float(weight.sum()) or 1.0
    level = float(weight[np.abs(across) < AXIS_SLOPE * np.abs(down)].sum()) / total
    upright = float(weight[np.abs(down) < AXIS_SLOPE * np.abs(across)].sum()) / total
    return level, upright


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
