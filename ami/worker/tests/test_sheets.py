"""Drawn sheets: reproducible, plausible, with boxes that are right."""

from __future__ import annotations

import numpy as np
import pytest

from ami.worker.drawing import draw_finds
from ami.worker.pipeline import Classification, Found
from ami.worker.sheets import make_sheet


def test_same_seed_draws_the_same_sheet_and_another_seed_another() -> None:
    first, boxes = make_sheet(4, size=(400, 300), insects=3)
    again, same_boxes = make_sheet(4, size=(400, 300), insects=3)
    other, other_boxes = make_sheet(5, size=(400, 300), insects=3)
    assert (first.tobytes(), boxes) == (again.tobytes(), same_boxes)
    assert first.tobytes() != other.tobytes()
    assert boxes != other_boxes


@pytest.mark.parametrize("seed", range(3))
def test_insects_lie_inside_and_differ_from_the_sheet_around_them(seed: int) -> None:
    image, boxes = make_sheet(seed, size=(800, 600), insects=6)
    pixels = np.asarray(image).astype(float)
    assert len(boxes) == 6
    for box in boxes:
        assert 0 <= box.x1 < box.x2 <= 800
        assert 0 <= box.y1 < box.y2 <= 600
        inside = pixels[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)]
        around = pixels[max(0, int(box.y1) - 6) : int(box.y2) + 6, max(0, int(box.x1) - 6) : int(box.x2) + 6]
        sheet = np.median(around[[0, -1]].reshape(-1, 3), axis=0)
        assert np.abs(inside - sheet).max() > 40


def test_sheet_without_room_has_fewer_insects_than_asked_for() -> None:
    _, boxes = make_sheet(1, size=(160, 120), insects=60)
    assert 0 < len(boxes) < 60


def test_label_has_the_same_colour_on_every_picture() -> None:
    image, _ = make_sheet(1, size=(400, 300), insects=0)
    find = Found((100, 100, 200, 150), [Classification("moth", [0.1, 0.9])])
    other = Found((300, 200, 350, 250), [Classification("beetle", [0.9, 0.1])])
    alone = np.asarray(draw_finds(image, [find], labels=["beetle", "moth"]))
    together = np.asarray(draw_finds(image, [find, other], labels=["beetle", "moth"]))
    assert (alone[100, 150] == together[100, 150]).all()


def test_drawing_marks_the_box_and_leaves_the_photograph_alone() -> None:
    image, _ = make_sheet(1, size=(400, 300), insects=0)
    before = image.tobytes()
    finds = [Found((100, 100, 200, 150), [Classification("moth", [0.9])], score=0.8), Found((10, 10, 30, 30))]
    drawing = draw_finds(image, finds, max_side=200)
    assert image.tobytes() == before
    assert drawing.size == (200, 150)
    red, green, blue = map(int, np.asarray(drawing)[50, 75])
    assert (red, green, blue) == (0, 114, 178)
