"""Figures about the system: one table of names, counters that cost next to nothing, and how they get out.

    RESERVED = declare.counter("ami_tasks_reserved_total", "Images handed out.", labels=("kind",), high="…")
    RESERVED.inc("first", amount=12)

Every name is declared once (`declare.TABLE`), with what it means and what to do when it is high; the page
docs/reference/metrics.md is made of that. Counting never raises (docs/adr/0015).
"""
