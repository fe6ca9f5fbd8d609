"""Health checks: they compare ledger, queue and pending sets, and repair what evidence says is broken.

One file a check; `runner` runs them apart from each other, `report` is what each returns.
"""
