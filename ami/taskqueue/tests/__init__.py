"""Tests of the queue layer, against real NATS and Valkey servers."""
