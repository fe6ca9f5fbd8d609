"""Models, services, keys, workers and predictions in the admin."""

from ami.ml.admin import catalogue, keys, services, workers

__all__ = ["catalogue", "keys", "services", "workers"]
