"""How good is a pipeline at finding insects? Precision and recall on drawn sheets whose true boxes are known.

    python -m ami.worker.evaluate --sheets 50 --seed 1

A drawn sheet is easier than a real one: the figures tell whether a change made the detector worse, not how
well it does on your sheet. For that, look: `ami-worker process *.jpg --draw DIRECTORY`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ami.worker.boxes import count_matches
from ami.worker.pipeline import LoadedImage, Pipeline
from ami.worker.pipelines.light_trap_contours import LightTrapContours
from ami.worker.sheets import make_sheet


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Counts over all sheets."""

    sheets: int
    insects: int
    found: int
    matched: int
    seconds: float
    """Time in the pipeline, without drawing the sheets."""

    @property
    def precision(self) -> float:
        """Part of the finds that are insects; 1.0 when nothing was found."""
        return self.matched / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Part of the insects that were found; 1.0 when there were none."""
        return self.matched / self.insects if self.insects else 1.0


def evaluate(
    pipeline: Pipeline,
    *,
    sheets: int,
    seed: int,
    size: tuple[int, int] = (1600, 1200),
    insects: int = 12,
    min_iou: float = 0.5,
) -> Evaluation:
    """Run the pipeline on the sheets drawn from `seed`, `seed + 1`, … and compare with the truth."""
    pipeline.setup()
    total_insects = total_found = total_matched = 0
    seconds = 0.0
    for number in range(seed, seed + sheets):
        image, truth = make_sheet(number, size=size, insects=insects)
        started = time.perf_counter()
        (finds,) = pipeline.process([LoadedImage(id=str(number), url="", image=image)])
        seconds += time.perf_counter() - started
        total_insects += len(truth)
        total_found += len(finds)
        total_matched += count_matches([find.bounds for find in finds], truth, min_iou=min_iou)
    return Evaluation(sheets, total_insects, total_found, total_matched, seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print precision and recall of `light_trap_contours`."""
    parser = argparse.ArgumentParser(
        prog="python -m ami.worker.evaluate", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--sheets", type=int, default=50, help="number of sheets to draw")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first sheet")
    parser.add_argument("--insects", type=int, default=12, help="insects on each sheet")
    parser.add_argument("--size", type=int, nargs=2, default=(1600, 1200), help="width and height of a sheet")
    parser.add_argument("--iou", type=float, default=0.5, help="overlap from which a find counts")
    options = parser.parse_args(arguments)
    result = evaluate(
        LightTrapContours(),
        sheets=options.sheets,
        seed=options.seed,
        size=tuple(options.size),
        insects=options.insects,
        min_iou=options.iou,
    )
    print(
        f"{result.sheets} sheets, {result.insects} insects, {result.found} finds: "
        f"precision {result.precision:.3f}, recall {result.recall:.3f} at IoU {options.iou}, "
        f"{result.seconds / max(1, result.sheets):.3f} s a sheet"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
