"""The state of the system in figures: a snapshot that many may ask for and few make."""
