"""Who speaks HTTP in chaos: the operator of jobs, and a worker driven by hand, call by call."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import requests

from ami.chaos.pipeline import result_of

ANSWER_SECONDS = 30.0
PAUSE_SECONDS = 0.1

Task = dict[str, Any]
Item = dict[str, Any]


class NoAnswer(Exception):
    """The call was not answered with a success in its time; the text says what came last."""


class Caller:
    """Calls the API with a token."""

    def __init__(self, url: str, token: str, *, name: str = "") -> None:
        """`url`: scheme, host, port. `name`: under which a worker calls."""
        self._api = f"{url}/api/v2"
        self.headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        if name:
            self.headers["X-Processing-Service-Name"] = name

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """One call, whatever the answer is. Raises requests' errors when there is none."""
        options.setdefault("timeout", ANSWER_SECONDS)
        with requests.Session() as session:
            return session.request(method, self._api + path, headers=self.headers, **options)

    def insist(self, method: str, path: str, *, seconds: float = 60.0, **options: Any) -> Any:
        """The JSON of a successful answer, asking again as clients do while the platform is unwell."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = self.call(method, path, **options)
            except requests.RequestException as error:
                said = type(error).__name__
            else:
                if answer.ok:
                    return answer.json()
                said = f"{answer.status_code} {answer.text[:300]}"
                if answer.status_code < 500 and answer.status_code != requests.codes.too_many:
                    raise NoAnswer(f"{method} {path}: {said}")
            if time.monotonic() > deadline:
                raise NoAnswer(f"{method} {path}: {said}")
            time.sleep(PAUSE_SECONDS)


class HandWorker(Caller):
    """A worker in our hands: it makes its results up and remembers what was answered."""

    def __init__(self, url: str, token: str, name: str) -> None:
        """`name`: what the ledger will call it."""
        super().__init__(url, token, name=name)
        self.answers: Counter[str] = Counter()
        self.accepted: set[int] = set()
        """Images whose result was answered `queued`."""
        self.worked: Counter[int] = Counter()
        """How often each image was worked on; a result that is posted again is no work."""
        self._lock = threading.Lock()

    def reserve(self, job_id: int, count: int) -> list[Task]:
        """Tasks, as many as there are now."""
        tasks: list[Task] = self.insist("POST", f"/jobs/{job_id}/tasks/", json={"batch_size": count})["tasks"]
        return tasks

    def hold(self, job_id: int, count: int, seconds: float = 60.0) -> list[Task]:
        """Exactly so many tasks, waiting until there are as many. Raises NoAnswer."""
        held: list[Task] = []
        deadline = time.monotonic() + seconds
        while len(held) < count:
            held += self.reserve(job_id, count - len(held))
            if time.monotonic() > deadline:
                raise NoAnswer(f"only {len(held)} of {count} tasks within {seconds:.0f} s")
            if len(held) < count:
                time.sleep(PAUSE_SECONDS)
        return held

    def post(self, job_id: int, tasks: Sequence[Task]) -> list[str]:
        """Results for these tasks, posted until that is answered; what became of each."""
        self.worked.update(int(task["image_id"]) for task in tasks)
        return self.post_items(job_id, [result_of(task) for task in tasks])

    def post_items(self, job_id: int, items: Sequence[Item], **options: Any) -> list[str]:
        """The same for results that are ready."""
        answer = self.insist("POST", f"/jobs/{job_id}/result/", json={"results": list(items)}, **options)
        return self.note(items, answer)

    def note(self, items: Sequence[Item], answer: dict[str, Any]) -> list[str]:
        """Remember an answer. Safe for several threads."""
        statuses = [item["status"] for item in answer["tasks"]]
        with self._lock:
            self.answers.update(statuses)
            for item, status in zip(items, statuses, strict=True):
                if status == "queued":
                    self.accepted.add(int(item["result"]["source_images"][0]["id"]))
        return statuses

    def leases(self, verb: str, tasks: Sequence[Task]) -> list[str]:
        """Extend or release; the status of each lease."""
        body = {"leases": [task["reply_subject"] for task in tasks]}
        return [lease["status"] for lease in self.insist("POST", f"/tasks/{verb}/", json=body)["leases"]]

    def fail(self, tasks: Sequence[Task], *, retryable: bool = True) -> list[str]:
        """Say that these get no result; what became of each."""
        failures = [
            {"reply_subject": task["reply_subject"], "error": "chaos", "retryable": retryable}
            for task in tasks
        ]
        answer = self.insist("POST", "/tasks/fail/", json={"failures": failures})
        return [item["status"] for item in answer["tasks"]]
