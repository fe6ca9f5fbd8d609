"""The chaos suite: real processes, real servers, real faults, and what must hold nevertheless.

`scripts/chaos` starts a whole platform, breaks it on purpose, scenario after scenario, and looks at the
invariants (`ami.jobs.invariants`) all the while. `docs/howto/operate/chaos.md` is the guide.
"""
