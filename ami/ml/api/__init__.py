"""The API of models, services and predictions."""
