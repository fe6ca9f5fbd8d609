"""Tells people and webhooks that a job ended (docs/howto/notifications.md)."""
