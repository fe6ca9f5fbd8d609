"""Tests of the chaos suite, and a short chaos as a test."""
