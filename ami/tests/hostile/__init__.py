"""A table of hostile requests: each is refused with a reason, and leaves everything as it was."""
