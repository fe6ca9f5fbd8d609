"""The figures of a snapshot: what is asked of Postgres, Redis, the broker and NATS."""

from __future__ import annotations

from ami.base.metrics.declare import gauge

POSTGRES, REDIS, BROKER, QUEUE, SNAPSHOT = "postgres", "redis", "broker", "nats", "snapshot"
SOURCES = (POSTGRES, REDIS, BROKER, QUEUE)

_STUCK = "[Stuck jobs](../howto/operate/stuck-job.md)."

SOURCE_UP = gauge(
    "ami_snapshot_source_up",
    "1 if a server answered in time when the snapshot was taken, else 0; then its figures are absent.",
    labels=("source",),
    high="0 is bad: see `/readyz`; [NATS](../howto/operate/nats-lost.md), "
    "[Redis](../howto/operate/redis-lost.md).",
    source=SNAPSHOT,
)
SOURCE_SECONDS = gauge(
    "ami_snapshot_source_seconds",
    "How long a server took to give its figures.",
    labels=("source",),
    high="The server is busy or far away.",
    source=SNAPSHOT,
)
AGE = gauge(
    "ami_snapshot_age_seconds",
    "Seconds since the snapshot was taken that this page shows.",
    high="Above a minute: no process manages to take one.",
    source=SNAPSHOT,
)
JOBS = gauge(
    "ami_jobs",
    "Jobs by status and by who works on them.",
    labels=("status", "dispatch_mode"),
    high=f"Many `PENDING`: is Celery there? {_STUCK}",
    source=POSTGRES,
)
TASKS = gauge(
    "ami_tasks",
    "Images of unfinished jobs by pipeline and state: `pending` (waiting or with a worker), `received` (not "
    "saved yet), `processed`, `failed`. As the jobs' progress shows them, so up to a second old.",
    labels=("pipeline", "state"),
    high="`pending`: more workers ([autoscaling](../howto/operate/autoscaling.md)). `received`: more Celery.",
    source=POSTGRES,
)
OLDEST_JOB = gauge(
    "ami_oldest_unfinished_job_age_seconds",
    "Seconds since the oldest unfinished job was started, or started anew, by who works on them; its images "
    "wait as long.",
    labels=("dispatch_mode",),
    high=_STUCK,
    source=POSTGRES,
)
INBOX = gauge(
    "ami_inbox_posts",
    "Accepted posts whose results are not saved yet.",
    high="Celery is slow or away (queue `results`); the database is slow.",
    source=POSTGRES,
)
INBOX_AGE = gauge(
    "ami_inbox_oldest_age_seconds",
    "Age of the oldest of them; 0 without any.",
    high="Above five minutes: Celery does not save, or a post cannot be saved; read its log.",
    source=POSTGRES,
)
DEAD_LETTERS = gauge(
    "ami_dead_letters",
    "Images that failed for good and were not requeued; counted up to 100,000.",
    high="[Dead letters](../howto/operate/dead-letters.md).",
    source=POSTGRES,
)
WORKERS = gauge(
    "ami_workers_online",
    "Workers that called within the last minute, by processing service; empty for workers without one.",
    labels=("service",),
    high="Good.",
    source=POSTGRES,
)
SERVICES = gauge(
    "ami_services_online",
    "Processing services that are there: those that `pull` work, and those that it is `push`ed to.",
    labels=("kind",),
    high="Good.",
    source=POSTGRES,
)
HEALTH_AGE = gauge(
    "ami_health_last_run_age_seconds",
    "Seconds since a health check ran last. One that never ran is absent.",
    labels=("check",),
    high="Beat or Celery (queue `health`) does not run.",
    source=POSTGRES,
)
HEALTH_FIXED = gauge(
    "ami_health_last_fixed",
    "What the last run of a health check repaired.",
    labels=("check",),
    high="The log says what was broken.",
    source=POSTGRES,
)
HEALTH_UNFIXABLE = gauge(
    "ami_health_last_unfixable",
    "What the last run of a health check could not repair.",
    labels=("check",),
    high=_STUCK,
    source=POSTGRES,
)
NOTIFICATIONS = gauge(
    "ami_notifications_waiting",
    "People and webhooks that are to be told that a job ended.",
    high="[Notifications](../howto/notifications.md); beat or Celery (queue `default`) does not run.",
    source=POSTGRES,
)
LEASES = gauge(
    "ami_leases",
    "Images that workers hold now, by pipeline; of the 2,000 newest jobs that hand out tasks.",
    labels=("pipeline",),
    high="Good, as long as results come.",
    source=REDIS,
)
OLDEST_LEASE = gauge(
    "ami_oldest_lease_age_seconds",
    "Seconds since the lease that ends first was handed out or extended; 0 without any.",
    high="Near `NATS_TASK_TTR`: a worker is dead, or too slow for its lease.",
    source=REDIS,
)
RATE = gauge(
    "ami_images_per_second",
    "Images that got their result over the last five minutes, per second, by pipeline.",
    labels=("pipeline",),
    high="Good.",
    source=REDIS,
)
CELERY_QUEUE = gauge(
    "ami_celery_queue_depth",
    "Background tasks that wait in a queue of the broker.",
    labels=("queue",),
    high="Celery is away, or there are too few processes for this queue.",
    source=BROKER,
)
CELERY_UNACKED = gauge(
    "ami_celery_unacked",
    "Background tasks that Celery has in hand.",
    high="Far above the number of Celery processes: workers died; their tasks come again after "
    "`CELERY_VISIBILITY_TIMEOUT`.",
    source=BROKER,
)
STREAMS = gauge(
    "ami_streams",
    "Streams of jobs in NATS.",
    high="More than jobs that run: [zombie streams](../howto/operate/zombie-streams.md).",
    source=QUEUE,
)
STREAM_MESSAGES = gauge(
    "ami_stream_messages",
    "Messages in them: images that wait or are with workers.",
    high="At most `DISPATCH_WINDOW` for each job that runs.",
    source=QUEUE,
)
STREAM_BYTES = gauge(
    "ami_stream_bytes",
    "Bytes that they take.",
    high="The disk of NATS fills up.",
    source=QUEUE,
)
