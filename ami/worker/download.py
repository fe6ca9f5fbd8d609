"""Fetch and decode the images of a batch side by side; what fails, fails alone and says why.

Images are untrusted: bytes, pixels, formats and time are capped, and they are fetched without our token.
"""

from __future__ import annotations

import functools
import io
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import requests
from PIL import Image, UnidentifiedImageError

from ami.ml.schemas import PipelineProcessingTask
from ami.worker.background import BackgroundThreads
from ami.worker.errors import ImageUnavailable, ImageUnusable, WorkerError
from ami.worker.pipeline import LoadedImage
from ami.worker.retrying import RetryPolicy, parse_retry_after, with_retries
from ami.worker.sessions import NoAuth, ThreadSessions

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
"""What cameras write; Pillow knows more formats, some of which start other programs."""
CHUNK_BYTES = 1 << 18

# `DownloadLimits.max_pixels` takes the place of Pillow's limit, which is one for the whole process
# and lower than what stations deliver.
Image.MAX_IMAGE_PIXELS = None

TEMPORARY = frozenset({403, 408, 425, 429, 500, 502, 503, 504})
"""403 too: a signed URL may be over, and the next reservation brings a new one."""


Wanted = Callable[[PipelineProcessingTask], bool]
"""Whether a task is still to be done."""


@dataclass(frozen=True, slots=True)
class FailedImage:
    """An image that could not be had, and why."""

    id: str
    reason: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """What an image may cost."""

    max_bytes: int = 100_000_000
    max_pixels: int = 120_000_000
    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    total_seconds: float = 120.0


class Downloader:
    """Downloads with `threads` threads, which live until `close`."""

    def __init__(
        self,
        *,
        threads: int = 8,
        limits: DownloadLimits | None = None,
        retries: RetryPolicy | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self._limits = limits or DownloadLimits()
        self._retries = retries or RetryPolicy(attempts=3)
        self._stop = stop or threading.Event()
        self._pool = BackgroundThreads("download", threads)
        self._sessions = ThreadSessions(_anonymous_session)

    def load(
        self,
        tasks: Sequence[PipelineProcessingTask],
        wanted: Wanted | None = None,
    ) -> list[LoadedImage | FailedImage]:
        """The images of the tasks, in their order; `wanted` is asked just before each is downloaded."""
        loads = [functools.partial(self._load_wanted, task, wanted) for task in tasks]
        return [future.result() for future in [self._pool.submit(load) for load in loads]]

    def close(self) -> None:
        """End the threads and their connections, without waiting for downloads under way."""
        self._pool.close()
        self._sessions.close()

    def _load_wanted(self, task: PipelineProcessingTask, wanted: Wanted | None) -> LoadedImage | FailedImage:
        if wanted is None or wanted(task):
            return self._load_one(task)
        return FailedImage(task.image_id, "Nobody wants the image any more.", retryable=True)

    def _load_one(self, task: PipelineProcessingTask) -> LoadedImage | FailedImage:
        try:
            data = with_retries(
                lambda: self._fetch(task.image_url), policy=self._retries, wait=self._stop.wait
            )
            image = decode_image(data, max_pixels=self._limits.max_pixels)
        except WorkerError as error:
            return FailedImage(task.image_id, str(error), retryable=error.temporary)
        return LoadedImage(task.image_id, task.image_url, image, dict(task.config or {}))

    def _fetch(self, url: str) -> bytes:
        limits = self._limits
        where = _without_query(url)
        try:
            with self._sessions.get().get(
                url, stream=True, timeout=(limits.connect_seconds, limits.read_seconds)
            ) as response:
                if not response.ok:
                    raise _refused(response, where)
                return _read_all(response, where, limits)
        except ValueError as error:  # requests and urllib say so in many ways
            raise ImageUnusable(f"{where} is not a web address that can be downloaded.") from error
        except requests.RequestException as error:
            raise ImageUnavailable(f"Downloading {where} failed: {type(error).__name__}.") from error


def decode_image(data: bytes, *, max_pixels: int) -> Image.Image:
    """The RGB image in `data`; raises `ImageUnusable` if there is none, or one that is too large."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image, max_pixels)
            return image.convert("RGB")
    except ImageUnusable:
        raise
    except UnidentifiedImageError as error:
        kinds = ", ".join(FORMATS)
        raise ImageUnusable(f"The file is not an image of a kind that we read ({kinds}).") from error
    except Exception as error:  # Pillow reports a damaged file with almost any exception
        raise ImageUnusable(f"The image is damaged or too large: {error}") from error


def _check_size(image: Image.Image, max_pixels: int) -> None:
    """Before anything is decoded: a small file can hold a picture that fills the memory."""
    if image.width * image.height > max_pixels:
        raise ImageUnusable(
            f"The image is {image.width} x {image.height} pixels; {max_pixels:,} pixels are allowed."
        )


def _read_all(response: requests.Response, where: str, limits: DownloadLimits) -> bytes:
    deadline = time.monotonic() + limits.total_seconds
    data = bytearray()
    for chunk in response.iter_content(CHUNK_BYTES):
        data += chunk
        if len(data) > limits.max_bytes:
            raise ImageUnusable(f"{where} is larger than {limits.max_bytes:,} bytes.")
        if time.monotonic() > deadline:
            raise ImageUnavailable(f"Downloading {where} took longer than {limits.total_seconds:.0f} s.")
    return bytes(data)


def _refused(response: requests.Response, where: str) -> WorkerError:
    reason = f"Downloading {where} failed: the server answered {response.status_code}."
    if response.status_code in TEMPORARY:
        return ImageUnavailable(reason, retry_after=parse_retry_after(response.headers.get("Retry-After")))
    return ImageUnusable(reason)


def _without_query(url: str) -> str:
    """The address for people; the query of a signed URL is a secret."""
    return url.partition("?")[0] or "An empty address"


def _anonymous_session() -> requests.Session:
    session = requests.Session()
    session.auth = NoAuth()
    return session
