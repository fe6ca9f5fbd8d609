"""Who acts in the tests of the whole system."""

from __future__ import annotations

ADMIN_EMAIL = "admin@e2e.example"
WORKER_EMAIL = "worker@e2e.example"
PASSWORD = "not a secret: its database lives for seconds"
