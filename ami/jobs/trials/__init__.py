"""A trial: one job from its creation to its end, watched, and its numbers checked against the ledger.

`request` says what is to be run, `run` runs and watches it, `verdict` says whether its end is exact, `screen`
shows it.
"""
