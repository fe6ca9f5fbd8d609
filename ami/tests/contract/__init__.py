"""The wire contract, replayed over HTTP by a client that behaves as existing pull workers do."""
