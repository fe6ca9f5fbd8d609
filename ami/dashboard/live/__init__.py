"""What pages show while it changes: read from Postgres once a moment, however many people look."""
