"""The whole system as real processes: web server, Celery, beat and pull workers, driven over HTTP."""
