"""From a photograph to a map of how much each pixel differs from the bare sheet around it.

The sheet is what is left when everything as small as an insect is taken out: a percentile filter on a very
small copy of the photograph. It follows lamps, shadows and dark corners, because it is local.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageFilter
from scipy import ndimage

WORK_SIDE = 2048
"""Long side, in pixels, of the copy on which we search; more finds no more insects, only more texture."""
BACKGROUND_SIDE = 128
"""Long side of the copy on which the bare sheet is estimated."""
BACKGROUND_WINDOW = 15
"""Window of the percentile filter, in pixels of that copy: 12 % of the width, larger than any moth."""
BACKGROUND_PERCENTILE = 65
"""Above the median, because most insects are darker than the sheet and may fill half of the window."""
DARK_SHEET = 100
"""Median level, of 255, below which the sheet is dark and the insects on it are brighter."""

NOISE_BLOCK = 16
NOISE_WINDOW = 13
MIN_THRESHOLD = 14
MAX_THRESHOLD = 60
NOISE_FACTOR = 2.2

Gray = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Contrast:
    """What differs from the sheet, at work size (height x width)."""

    difference: Gray
    """Largest difference over the three colours, 0 to 255, sharp."""
    smooth: Gray
    """The same, averaged over 3 x 3 pixels, as compared with the threshold."""
    threshold: Gray
    """Difference that a pixel needs, by the noise and the texture around it."""
    factor: int
    """Pixels of the photograph per pixel of these maps."""

    @property
    def mask(self) -> Mask:
        """Where something lies on the sheet."""
        return self.smooth > self.threshold


def measure_contrast(image: Image.Image) -> Contrast:
    """Compare an RGB photograph with its own bare sheet."""
    factor = max(1, round(max(image.size) / WORK_SIDE))
    work = image.reduce(factor)
    channels = np.asarray(ImageChops.difference(work, _bare_sheet(work)))
    difference = channels.max(axis=2)
    smooth = np.asarray(Image.fromarray(difference).filter(ImageFilter.BoxBlur(1)))
    return Contrast(difference, smooth, _threshold(smooth), factor)


def _bare_sheet(work: Image.Image) -> Image.Image:
    tiny = np.asarray(work.reduce(max(1, round(max(work.size) / BACKGROUND_SIDE))))
    percentile = BACKGROUND_PERCENTILE if np.median(tiny) >= DARK_SHEET else 100 - BACKGROUND_PERCENTILE
    planes = [_bare_plane(tiny[..., channel], percentile) for channel in range(3)]
    return Image.fromarray(np.stack(planes, axis=-1)).resize(work.size, Image.Resampling.BILINEAR)


def _bare_plane(plane: Gray, percentile: int) -> Gray:
    specks_gone = ndimage.median_filter(plane, size=3)
    sheet = ndimage.percentile_filter(specks_gone, percentile, size=BACKGROUND_WINDOW)
    smooth: npt.NDArray[np.float32] = ndimage.gaussian_filter(sheet.astype(np.float32), sigma=2.0)
    rounded: Gray = np.clip(smooth + 0.5, 0, 255).astype(np.uint8)
    return rounded


def _threshold(smooth: Gray) -> Gray:
    """Noise is what the quieter part of the surroundings shows: no insect may raise its own threshold."""
    height, width = smooth.shape
    rows, columns = max(1, height // NOISE_BLOCK), max(1, width // NOISE_BLOCK)
    block_height, block_width = height // rows, width // columns
    blocks = smooth[: rows * block_height, : columns * block_width]
    blocks = blocks.reshape(rows, block_height, columns, block_width).swapaxes(1, 2)
    noise = np.percentile(blocks.reshape(rows, columns, -1)[..., ::3], 75, axis=2)
    noise = ndimage.percentile_filter(noise, 40, size=NOISE_WINDOW)
    noise = ndimage.gaussian_filter(noise, sigma=3.0)
    levels = np.clip(10 + NOISE_FACTOR * noise, MIN_THRESHOLD, MAX_THRESHOLD).astype(np.uint8)
    return np.asarray(Image.fromarray(levels).resize((width, height), Image.Resampling.BILINEAR))
