"""Tests that need more than one part of AMI, or its processes."""
