"""The whole system as real processes: web server, Celery and pull workers, driven over HTTP."""
