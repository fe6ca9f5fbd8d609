"""Models, services, keys, workers and predictions in the admin."""

from ami.ml.admin import catalogue, keys, workers

__all__ = ["catalogue", "keys", "workers"]
