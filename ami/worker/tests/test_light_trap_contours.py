"""The built-in detector: finds drawn insects, and nothing where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from ami.worker.boxes import Box
from ami.worker.evaluate import evaluate, main
from ami.worker.pipelines.contours.detect import find_insects
from ami.worker.pipelines.light_trap_contours import SIZES, LightTrapContours, classify_size
from ami.worker.sheets import make_sheet

SHEET = (214, 214, 208)


def bare_sheet(size: tuple[int, int] = (1000, 750), noise: float = 3.0) -> Image.Image:
    grain = np.random.default_rng(1).normal(0, noise, size=(256, 256, 1))
    tile = np.clip(np.array(SHEET) + grain, 0, 255).astype(np.uint8)
    tiles = (-(-size[1] // 256), -(-size[0] // 256), 1)
    return Image.fromarray(np.tile(tile, tiles)[: size[1], : size[0]])


def draw_beetle(image: Image.Image, box: tuple[int, int, int, int]) -> None:
    draw = ImageDraw.Draw(image)
    draw.ellipse(box, fill=(40, 30, 25))


def test_precision_and_recall_on_drawn_sheets() -> None:
    result = evaluate(LightTrapContours(), sheets=3, seed=1000, size=(900, 700), insects=12)
    assert result.insects >= 33
    assert result.precision >= 0.9
    assert result.recall >= 0.9


def test_evaluation_prints_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--sheets", "1", "--seed", "5", "--insects", "3", "--size", "600", "400"]) == 0
    assert "1 sheets, 3 insects" in capsys.readouterr().out


def test_evaluation_can_fail() -> None:
    class Blind(LightTrapContours):
        def process_image(self, image: Image.Image) -> list[object]:  # type: ignore[override]
            return []

    result = evaluate(Blind(), sheets=1, seed=1, size=(600, 400), insects=3)
    assert (result.recall, result.precision) == (0.0, 1.0)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_found_on_a_sheet_without_insects(seed: int) -> None:
    sheet, boxes = make_sheet(seed, size=(1000, 750), insects=0)
    assert boxes == []
    assert find_insects(sheet) == []


@pytest.mark.parametrize("colour", ["white", "black", (120, 110, 100)])
def test_nothing_is_found_on_one_colour(colour: str | tuple[int, int, int]) -> None:
    assert find_insects(Image.new("RGB", (800, 600), colour)) == []


def test_pure_noise_gives_next_to_nothing() -> None:
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 256, size=(600, 800, 3), dtype=np.uint8))
    assert len(find_insects(noise)) <= 2


@pytest.mark.parametrize("size", [(40, 30), (1, 1), (3, 900), (16, 16)])
def test_tiny_images_do_not_break_it(size: tuple[int, int]) -> None:
    assert find_insects(Image.new("RGB", size, "white")) == []


@pytest.mark.parametrize("size", [(1600, 1200), (4096, 2160), (800, 600)])
def test_box_is_given_in_pixels_of_the_photograph(size: tuple[int, int]) -> None:
    image = bare_sheet(size=size)
    unit = max(size) / 1600
    true = Box(300 * unit, 200 * unit, 380 * unit, 245 * unit)
    draw_beetle(image, (round(true.x1), round(true.y1), round(true.x2), round(true.y2)))
    (insect,) = find_insects(image)
    assert insect.box.iou(true) > 0.75
    assert insect.score > 0.6


def test_insect_cut_by_the_edge_has_its_box_inside_the_photograph() -> None:
    image = bare_sheet()
    draw_beetle(image, (930, 500, 1060, 560))
    (insect,) = find_insects(image)
    assert insect.box.x2 == 1000


def test_bright_insect_on_a_dark_sheet_is_found() -> None:
    image = Image.new("RGB", (1000, 750), (70, 68, 80))
    ImageDraw.Draw(image).ellipse((500, 500, 620, 570), fill=(230, 225, 200))
    assert len(find_insects(image)) == 1


def test_coloured_insect_as_bright_as_the_sheet_is_found() -> None:
    image = bare_sheet()
    ImageDraw.Draw(image).ellipse((500, 500, 620, 570), fill=(150, 235, 150))
    assert len(find_insects(image)) == 1


def test_insects_that_touch_by_a_leg_are_two() -> None:
    image = bare_sheet()
    draw_beetle(image, (500, 500, 560, 590))
    draw_beetle(image, (640, 500, 700, 590))
    ImageDraw.Draw(image).line((530, 545, 670, 545), fill=(40, 30, 25), width=3)
    assert len(find_insects(image)) == 2


def test_surest_finds_come_first() -> None:
    image = bare_sheet()
    draw_beetle(image, (300, 300, 312, 320))
    draw_beetle(image, (600, 600, 700, 680))
    scores = [insect.score for insect in find_insects(image)]
    assert len(scores) == 2
    assert scores[0] > scores[1]


def test_shadow_out_of_focus_is_no_insect() -> None:
    image = bare_sheet(noise=0)
    ImageDraw.Draw(image).ellipse((400, 300, 700, 560), fill=(90, 80, 85))
    image = image.filter(ImageFilter.GaussianBlur(40))
    assert find_insects(image) == []


@pytest.mark.parametrize("centre", [(500, 500), (500, 740)])
def test_head_of_a_bolt_is_no_insect(centre: tuple[int, int]) -> None:
    image = bare_sheet()
    x, y = centre
    ImageDraw.Draw(image).ellipse((x - 24, y - 24, x + 24, y + 24), fill=(25, 25, 28))
    assert find_insects(image) == []


def test_scale_bar_is_no_insect() -> None:
    image = bare_sheet()
    draw = ImageDraw.Draw(image)
    for index in range(10):
        left, top = 400 + 16 * index, 300 + 16 * (index % 2)
        draw.rectangle((left, top, left + 15, top + 15), fill=(30, 30, 34))
    assert find_insects(image) == []


def test_frame_of_the_sheet_is_no_insect() -> None:
    image = bare_sheet()
    ImageDraw.Draw(image).polygon([(988, 250), (1000, 250), (1000, 420), (993, 420)], fill="black")
    assert find_insects(image) == []


def test_thing_as_large_as_half_the_sheet_is_no_insect() -> None:
    image = bare_sheet()
    draw_beetle(image, (100, 200, 700, 500))
    assert find_insects(image) == []


@pytest.mark.parametrize(
    ("diagonal", "label"), [(0.01, "small insect"), (0.04, "medium insect"), (0.15, "large insect")]
)
def test_size_class_follows_the_diagonal(diagonal: float, label: str) -> None:
    side = diagonal * 2000 / 2**0.5
    verdict = classify_size(Box(0, 0, side, side), (2000, 1000))
    assert verdict.label == label
    assert sum(map(float, verdict.scores)) == pytest.approx(1.0)
    assert len(verdict.scores) == len(verdict.logits or ()) == len(SIZES)
