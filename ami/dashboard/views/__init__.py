"""The views of the pages, one module for each kind of page."""
