"""Measures the main job with made-up results: no image is downloaded, so what is measured is the platform."""
