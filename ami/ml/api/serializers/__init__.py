"""How models, services and predictions look on the wire."""
