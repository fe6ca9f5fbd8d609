"""What happens to secrets, and where it may be written down."""
