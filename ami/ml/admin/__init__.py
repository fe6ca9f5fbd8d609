"""Models, services, workers and predictions in the admin."""

from ami.ml.admin import catalogue, workers

__all__ = ["catalogue", "workers"]
