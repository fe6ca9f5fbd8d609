"""Figures for Prometheus: who may read them, and how processes bring theirs together."""

from __future__ import annotations

from config import declare

METRICS_TOKEN = declare.string(
    "METRICS_TOKEN",
    "",
    "Opens /metrics: `Authorization: Bearer …`. Without it and without METRICS_NETWORKS nobody reads them on "
    "a server, and everybody in development.",
    secret=True,
)
METRICS_NETWORKS = declare.networks(
    "METRICS_NETWORKS",
    [],
    "Networks (CIDR) that may read /metrics without a token. Counts for direct connections only: what came "
    "through a proxy needs the token.",
)
METRICS_DIR = declare.string(
    "METRICS_DIR",
    "",
    "Folder in which the processes of one machine share their counters, best in memory, such as "
    "/dev/shm/ami. Empty: each of web and Celery keeps its own.",
)
METRICS_PORT = declare.integer(
    "METRICS_PORT",
    0,
    "Port at which a Celery worker shows its own counters, where it shares no METRICS_DIR with a web server. "
    "0: none.",
    minimum=0,
    maximum=65_535,
)
