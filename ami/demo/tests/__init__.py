"""Tests of the demo that need no running platform; `ami/tests/e2e` runs all of it."""
