"""Views of projects and captures, one file per kind of object."""
