"""What processes count while they work. What they are asked for instead is in `ami.jobs.metrics.table`."""

from __future__ import annotations

from ami.base.metrics.declare import counter, histogram

REQUESTS = counter(
    "ami_http_requests_total",
    "Requests answered, by the name of the address, the method and the status.",
    labels=("view", "method", "status"),
    high="Statuses of 500 and above: read the log of the web server. 503: see `/readyz`. 429: raise "
    "`RATE_LIMIT_…`, or have the caller ask less.",
)
REQUEST_SECONDS = histogram(
    "ami_http_request_seconds",
    "How long answers took, by the name of the address. Calls that wait for tasks take as long as they wait.",
    labels=("view",),
    high="Look at the database first; then add web processes (`WEB_CONCURRENCY`).",
)
RESERVED = counter(
    "ami_tasks_reserved_total",
    "Images handed out under a lease: `first` attempts, and `again` after a lease that ran out, a retry or a "
    "return.",
    labels=("attempt",),
    high="`again` beside `first`: workers die or are too slow for `NATS_TASK_TTR`; see the failures of the "
    "jobs.",
)
RECEIVED = counter(
    "ami_results_received_total",
    "Posted results, by what became of them.",
    labels=("outcome",),
    high="`rejected`, `failed`, `retry`: `GET /api/v2/jobs/{id}/failures/` says why. `duplicate`: leases are "
    "shorter than the work.",
)
SAVED = counter(
    "ami_images_saved_total",
    "Images whose predictions were saved.",
    high="This is what the platform is for.",
)
FAILED = counter(
    "ami_images_failed_total",
    "Images that failed for good, by error code.",
    labels=("code",),
    high="[Dead letters](../howto/operate/dead-letters.md).",
)
PUBLISHED = counter(
    "ami_queue_published_total",
    "Messages that NATS confirmed.",
    high="Nothing, unless it grows without jobs.",
)
SETTLED = counter(
    "ami_queue_settled_total",
    "Deliveries that NATS was told about: `ack` (done), `nak` (give again), `in_progress` (still at work).",
    labels=("kind",),
    high="`nak` beside `ack`: images are handed out and come back; "
    "[stuck jobs](../howto/operate/stuck-job.md).",
)
QUEUE_FAILED = counter(
    "ami_queue_unavailable_total",
    "Calls to NATS that had no answer in time, or were not made because of that.",
    high="[NATS is lost or slow](../howto/operate/nats-lost.md).",
)
TASKS = counter(
    "ami_celery_tasks_total",
    "Background tasks that ended, by name and state.",
    labels=("task", "state"),
    high="`FAILURE`: read the log of Celery.",
)
TASK_SECONDS = histogram(
    "ami_celery_task_seconds",
    "How long background tasks took, by name.",
    labels=("task",),
    high="`jobs.save`: the database, or very large posts. Add Celery processes if the queues are long, too.",
)
FIXED = counter(
    "ami_health_fixed_total",
    "What health checks repaired, by check.",
    labels=("check",),
    high="The reports (`/api/v2/health/reports/`) and the log say what; something breaks again and again.",
)
UNFIXABLE = counter(
    "ami_health_unfixable_total",
    "What health checks could not repair, by check; a server that is away counts as one.",
    labels=("check",),
    high="[Stuck jobs](../howto/operate/stuck-job.md).",
)
NOTIFIED = counter(
    "ami_notifications_total",
    "Tries to tell somebody that a job ended, by way and outcome.",
    labels=("way", "outcome"),
    high="`failed`: the job's log says why; [notifications](../howto/notifications.md).",
)
