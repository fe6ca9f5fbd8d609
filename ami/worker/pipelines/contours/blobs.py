"""From the map of contrast to blobs: one connected thing on the sheet each, whatever it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ami.worker.pipelines.contours.background import Contrast, Gray, Mask

MIN_AREA = 40
"""Pixels at work size below which nothing can be told from dust."""
MIN_DIAGONAL = 12.0
JOIN_REACH = 5
"""Fragments whose gap is below this many pixels belong together (legs, pale wings)."""
NECKS = (5, 7)
"""Two bodies that hang together only by something thinner than these (a leg, a feeler) are two insects.

The thinner comes first: it keeps small bodies, which the thicker would take for legs."""
MIN_CORE_AREA = 45
"""A body that may stand alone when two are parted."""
MAX_OVERLAP = 0.4
"""Two parts of which one lies further inside the box of the other are one insect after all."""

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, slots=True)
class Blob:
    """Something that differs from the sheet; coordinates and areas at work size."""

    top: int
    left: int
    mask: Mask
    """Pixels that differ, cut to the blob's box (height x width)."""
    contrast: Gray
    """The sharp difference in the same box."""
    smooth: Gray
    thresholds: Gray

    @property
    def threshold(self) -> float:
        """Mean difference that a pixel needed to count."""
        return float(self.thresholds[self.mask].mean())

    @property
    def area(self) -> int:
        """Number of pixels that differ."""
        return int(np.count_nonzero(self.mask))

    @property
    def height(self) -> int:
        """Rows of the box."""
        return int(self.mask.shape[0])

    @property
    def width(self) -> int:
        """Columns of the box."""
        return int(self.mask.shape[1])

    @property
    def strength(self) -> float:
        """Difference reached by the tenth of the pixels that differ most, 0 to 255."""
        return float(np.percentile(self.contrast[self.mask], 90))


def find_blobs(contrast: Contrast) -> list[Blob]:
    """Everything large enough that differs from the sheet; insects that touch are still one blob."""
    mask = contrast.mask
    joined = ndimage.maximum_filter(mask.view(np.uint8), size=JOIN_REACH)
    labels, _ = ndimage.label(joined, structure=EIGHT_NEIGHBOURS)
    labels *= mask
    places = enumerate(ndimage.find_objects(labels), start=1)
    whole = Blob(0, 0, mask, contrast.difference, contrast.smooth, contrast.threshold)
    cuts = (_cut_out(whole, place, labels[place] == number) for number, place in places if place is not None)
    return [blob for blob in cuts if _large_enough(blob)]


def part_bodies(blob: Blob) -> list[Blob]:
    """Split where two bodies hang together by a leg."""
    parts = [blob]
    for neck in NECKS:
        parts = [piece for part in parts for piece in _cut_necks(part, neck)]
    return parts


def _cut_necks(blob: Blob, neck: int) -> list[Blob]:
    """Bodies survive an erosion, legs do not; what was eroded goes to the nearest body."""
    if blob.area < 2 * MIN_CORE_AREA:
        return [blob]
    solid = ndimage.binary_fill_holes(np.pad(blob.mask, neck))
    eroded = ndimage.minimum_filter(solid.view(np.uint8), size=neck)
    cores, count = ndimage.label(eroded, structure=EIGHT_NEIGHBOURS)
    areas = np.bincount(cores.ravel(), minlength=count + 1)
    bodies = [number for number in range(1, count + 1) if areas[number] >= MIN_CORE_AREA]
    if len(bodies) < 2:
        return [blob]
    nearest: npt.NDArray[np.intp] = ndimage.distance_transform_edt(
        ~np.isin(cores, bodies), return_distances=False, return_indices=True
    )
    owner = cores[tuple(nearest)][neck:-neck, neck:-neck]
    parts = _keep_together([blob.mask & (owner == number) for number in bodies])
    everywhere = (slice(0, blob.height), slice(0, blob.width))
    return [piece for piece in (_cut_out(blob, everywhere, part) for part in parts) if _large_enough(piece)]


def _large_enough(blob: Blob) -> bool:
    return blob.area >= MIN_AREA and float(np.hypot(blob.height, blob.width)) >= MIN_DIAGONAL


def _cut_out(source: Blob, place: tuple[slice, slice], mask: Mask) -> Blob:
    """The part of `source` under `mask`, which lies at `place` in it, in the smallest box."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = place[0].start + int(rows[0]), place[1].start + int(columns[0])
    box = (slice(top, top + int(np.ptp(rows)) + 1), slice(left, left + int(np.ptp(columns)) + 1))
    return Blob(
        top=source.top + top,
        left=source.left + left,
        mask=mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1],
        contrast=source.contrast[box],
        smooth=source.smooth[box],
        thresholds=source.thresholds[box],
    )


def _keep_together(parts: list[Mask]) -> list[Mask]:
    """Join parts again whose boxes lie over each other: the wings of one insect, not two insects."""
    kept: list[Mask] = []
    for part in sorted(parts, key=np.count_nonzero, reverse=True):
        for index, larger in enumerate(kept):
            if _overlap(part, larger) > MAX_OVERLAP:
                kept[index] = larger | part
                break
        else:
            kept.append(part)
    return kept


def _overlap(part: Mask, larger: Mask) -> float:
    """How much of the box of `part` lies inside the box of `larger`, from 0 to 1."""
    shared, own = 1.0, 1.0
    for axis in (0, 1):
        mine, other = (np.flatnonzero(mask.any(axis=axis)) for mask in (part, larger))
        own *= mine[-1] - mine[0] + 1
        shared *= max(0, min(mine[-1], other[-1]) - max(mine[0], other[0]) + 1)
    return float(shared / own)
