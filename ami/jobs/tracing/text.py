"""A trace as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from ami.base.logs import clean_text
from ami.jobs.tracing.phrases import ids, number
from ami.jobs.tracing.trace import Finding, Trace

MOST_FINDINGS = 40
LABEL_WIDTH = 14
MOST_CHARACTERS = 4_000
"""Of a line."""


def text_of(trace: Trace) -> str:
    """The whole trace; names and reasons of strangers cannot play with the terminal."""
    return "\n".join(clean_text(line, MOST_CHARACTERS).replace("\n", " ") for line in _lines(trace))


def _lines(trace: Trace) -> Iterator[str]:
    for label, sentence in [*trace.head, ("waiting for", trace.waiting_for)]:
        yield f"{label:<{LABEL_WIDTH}}{sentence}"
    yield ""
    if trace.image_id is not None:
        yield from _image(trace)
        return
    if not trace.findings:
        yield "No image is unfinished."
        return
    yield "Where the unfinished images are:"
    for finding in trace.findings[:MOST_FINDINGS]:
        yield from _finding(finding)
    if rest := trace.findings[MOST_FINDINGS:]:
        yield f"  and {number(sum(finding.count for finding in rest), 'image')} elsewhere (see --json)"


def _finding(finding: Finding) -> Iterator[str]:
    yield f"  {number(finding.count, 'image')}: {finding.where} {finding.next}"
    yield f"      {ids(finding.images, finding.count)}"


def _image(trace: Trace) -> Iterator[str]:
    for finding in trace.findings:
        yield f"Image {trace.image_id}: {finding.where} {finding.next}"
    said_now = False
    for event in trace.timeline:
        if not said_now and event.at > trace.now:
            yield f"  {trace.now:%Y-%m-%d %H:%M:%S} UTC  now"
            said_now = True
        yield f"  {event.at:%Y-%m-%d %H:%M:%S} UTC  {event.text}"
