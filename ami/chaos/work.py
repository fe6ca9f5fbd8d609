"""What workers did in a run: every image that was begun, and every result that was answered `queued`."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

_POSTED = re.compile(r"results posted job=(\d+) (\{.*\})$")


class WorkLog:
    """The file to which every worker appends the images that it begins; this reads on from where it stood."""

    def __init__(self, file: Path) -> None:
        """`file`: shared by all runs."""
        self._file = file
        self._start = file.stat().st_size

    def begun(self, image_ids: Iterable[int]) -> Counter[int]:
        """How often each of these images was begun since."""
        wanted = set(image_ids)
        with self._file.open() as file:
            file.seek(self._start)
            return Counter(number for line in file if (number := int(line)) in wanted)

    def length(self) -> int:
        """How many images, of any job, were begun since."""
        with self._file.open() as file:
            file.seek(self._start)
            return sum(1 for _ in file)


def answers_in(logs: Sequence[Path], job_ids: Iterable[int]) -> Counter[str]:
    """What the server answered to the results that workers posted for these jobs, from the workers' logs."""
    wanted = set(job_ids)
    counted: Counter[str] = Counter()
    for log in logs:
        for line in log.read_text(errors="replace").splitlines():
            found = _POSTED.search(line)
            if found and int(found[1]) in wanted:
                counted.update(ast.literal_eval(found[2]))
    return counted
