"""The API of projects and captures, and what all project-scoped views share."""
