"""The API of jobs, sentence by sentence of the wire contract."""
