"""Real Postgres, Valkey and NATS for one machine: for tests, the demo and development.

The servers come from wheels, run without privileges, listen on this machine only, and die with the process
that started them. Knows nothing of the rest of AMI: it hands out addresses in environment variables.
"""
