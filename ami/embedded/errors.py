"""What can go wrong with an embedded server."""


class EmbeddedError(Exception):
    """An embedded server cannot be found, started or used; the message says what to do about it."""
