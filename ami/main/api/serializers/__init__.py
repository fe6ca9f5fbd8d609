"""How projects and captures look on the wire."""
