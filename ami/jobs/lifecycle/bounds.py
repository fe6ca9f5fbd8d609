"""Whether the boxes of a result lie on their image, as far as its size is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ami.base.database import rows
from ami.ml.schemas import DetectionResponse

SLACK_PIXELS = 1.0

Edge = tuple[float, int]
"""Where the outermost box ends, and the number of its detection."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How far the boxes of one image reach in each direction."""

    left: Edge
    top: Edge
    right: Edge
    bottom: Edge


def extent_of(detections: Sequence[DetectionResponse]) -> Extent | None:
    """The extent of all boxes; None when there are none."""
    boxes = [(number, found.bbox) for number, found in enumerate(detections) if found.bbox is not None]
    if not boxes:
        return None
    return Extent(
        left=min((box.x1, number) for number, box in boxes),
        top=min((box.y1, number) for number, box in boxes),
        right=max((box.x2, number) for number, box in boxes),
        bottom=max((box.y2, number) for number, box in boxes),
    )


def boxes_outside(extents: Mapping[int, Extent]) -> dict[int, str]:
    """What is wrong, by image, where a box lies outside; one look at the database for all of them."""
    if not extents:
        return {}
    sizes = rows(
        "SELECT id, width, height FROM main_sourceimage WHERE id = ANY(%s) AND width > 0 AND height > 0",
        [list(extents)],
    )
    problems = {image: _problem(extents[image], width, height) for image, width, height in sizes}
    return {image: problem for image, problem in problems.items() if problem}


def _problem(extent: Extent, width: int, height: int) -> str:
    beyond = [
        number
        for outside, number in (
            (-extent.left[0], extent.left[1]),
            (-extent.top[0], extent.top[1]),
            (extent.right[0] - width, extent.right[1]),
            (extent.bottom[0] - height, extent.bottom[1]),
        )
        if outside > SLACK_PIXELS
    ]
    if not beyond:
        return ""
    return f"The box of detection {beyond[0]} is not inside the image, which is {width} x {height} pixels."
