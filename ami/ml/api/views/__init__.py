"""Views of models, services and predictions, one file per kind of object."""
