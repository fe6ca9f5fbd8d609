"""Jobs and their workers: how much at once, how often, how long."""

from __future__ import annotations

from config import declare

DISPATCH_WINDOW = declare.integer(
    "DISPATCH_WINDOW", 50_000, "Messages of one job that stand in NATS at most.", minimum=100
)
DISPATCH_SLICE_SECONDS = declare.decimal(
    "DISPATCH_SLICE_SECONDS", 60.0, "Longest slice of collecting and publishing.", minimum=1, maximum=100
)
PUBLISH_CHUNK = declare.integer(
    "PUBLISH_CHUNK", 5_000, "Messages published between two looks at the claim on the job.", minimum=1
)
COLLECT_CHUNK = declare.integer(
    "COLLECT_CHUNK", 50_000, "Captures collected in one transaction.", minimum=100
)
CLAIM_SECONDS = declare.decimal(
    "CLAIM_SECONDS", 60.0, "Seconds that a claim on a dispatch or an inbox row holds.", minimum=1
)
INBOX_RETRY_SECONDS = declare.decimal(
    "INBOX_RETRY_SECONDS", 10.0, "Age at which the inbox check enqueues an unsaved row again.", minimum=0
)
INBOX_MAX_TRIES = declare.integer(
    "INBOX_MAX_TRIES", 5, "Tries after which an item that cannot be saved is failed.", minimum=1
)
INBOX_ROW_MAX_BYTES = declare.integer(
    "INBOX_ROW_MAX_BYTES", 4_000_000, "A post larger than this becomes several inbox rows.", minimum=100_000
)
PROGRESS_INTERVAL_SECONDS = declare.decimal(
    "PROGRESS_INTERVAL_SECONDS", 1.0, "Progress of a job is projected at most this often.", minimum=0
)
ZOMBIE_STREAMS_MAX_AGE_MINUTES = declare.integer(
    "ZOMBIE_STREAMS_MAX_AGE_MINUTES",
    60,
    "Age in minutes from which a stream is deleted whose job ended or is gone; 0: at once.",
    minimum=0,
)
JOB_SAMPLES_KEPT_DAYS = declare.integer(
    "JOB_SAMPLES_KEPT_DAYS", 30, "Days for which the course of a job is kept for its chart.", minimum=1
)
HEALTH_REPORTS_KEPT_DAYS = declare.integer(
    "HEALTH_REPORTS_KEPT_DAYS", 30, "Days for which reports of health checks are kept.", minimum=1
)
FAILURE_THRESHOLD = declare.decimal(
    "FAILURE_THRESHOLD",
    0.5,
    "A job fails when more than this share of its images failed.",
    minimum=0,
    maximum=1,
)
RETRY_BACKOFF_SECONDS = declare.decimal(
    "RETRY_BACKOFF_SECONDS",
    5.0,
    "Pause before an image that a worker failed is handed out again; doubles with each attempt.",
    minimum=0,
)
RESERVE_MAX_BATCH = declare.integer(
    "RESERVE_MAX_BATCH", 500, "Most images that one reserve call hands out.", minimum=1, maximum=10_000
)
LONG_POLL_MAX_SECONDS = declare.decimal(
    "LONG_POLL_MAX_SECONDS", 30.0, "Longest wait that a worker may ask for.", minimum=0, maximum=50
)
LONG_POLL_MAX_WAITERS = declare.integer(
    "LONG_POLL_MAX_WAITERS",
    100,
    "Calls that may wait for tasks at once in one web process; more are answered without waiting. "
    "The web server sets three quarters of WEB_THREADS.",
    minimum=0,
)
SUGGESTED_BATCH_SIZE = declare.integer(
    "SUGGESTED_BATCH_SIZE", 16, "Images that a worker without an opinion is told to take at once.", minimum=1
)
PUSH_BATCH_SIZE = declare.integer(
    "PUSH_BATCH_SIZE",
    8,
    "Images of one request to a push service, where the pipeline's settings do not say.",
    minimum=1,
    maximum=1_000,
)
PUSH_REQUESTS_AT_ONCE = declare.integer(
    "PUSH_REQUESTS_AT_ONCE", 4, "Requests of one job to push services at once.", minimum=1, maximum=64
)
PUSH_REQUEST_SECONDS = declare.decimal(
    "PUSH_REQUEST_SECONDS",
    45.0,
    "How long a push service has for one request; with the slice it must stay below Celery's time limit.",
    minimum=0.1,
    maximum=100,
)
PUSH_ANSWER_SECONDS = declare.decimal(
    "PUSH_ANSWER_SECONDS",
    30.0,
    "For what is done with an answer of a push service: its images stay leased so much longer than the "
    "request may take.",
    minimum=1,
)
TURN_PORTION = declare.integer(
    "TURN_PORTION",
    1,
    "Tasks of one job that a call over all jobs takes before it goes on to the next job. With 1, many jobs "
    "mean batches of one image of each; larger portions cost less, and take turns less often.",
    minimum=1,
)
WORKER_MAX_LEASES = declare.integer(
    "WORKER_MAX_LEASES", 2_000, "Most images that one worker may hold at once.", minimum=1
)
HOLDER_MAX_LEASES = declare.integer(
    "HOLDER_MAX_LEASES",
    10_000,
    "Most images that all workers of one service, or of one user's tokens, may hold at once.",
    minimum=1,
)
RESULT_MAX_ITEMS = declare.integer("RESULT_MAX_ITEMS", 2_000, "Most results in one post.", minimum=1)
RESULT_MAX_DETECTIONS = declare.integer(
    "RESULT_MAX_DETECTIONS", 10_000, "Most detections in the result of one image.", minimum=1
)
LARGE_POST_BYTES = (
    1024
    * 1024
    * declare.integer(
        "LARGE_POST_MB", 8, "Result posts above so many MiB, inflated, are taken a few at a time.", minimum=1
    )
)
LARGE_POSTS_AT_ONCE = declare.integer(
    "LARGE_POSTS_AT_ONCE",
    2,
    "Large result posts that one web process takes at once; each needs twice its size in memory.",
    minimum=1,
)
JOB_LOG_PERSIST_ENABLED = declare.boolean(
    "JOB_LOG_PERSIST_ENABLED", True, "Keep job log lines as rows that people read; off: structured log only."
)
CHAOS_ENABLED = declare.boolean(
    "CHAOS_ENABLED", False, "Let `manage.py chaos_monkey` break things. Never where work is at stake."
)
