"""What must hold for every job at every moment, as questions to a live system.

`check` looks at the ledger and what was made of it (I1 to I4, I6), in one consistent view of the database;
`Watch` compares such looks with each other (I5); `leftovers` asks NATS and Redis what ended jobs left behind
(I9). All only read.
"""

from ami.jobs.invariants.checking import check
from ami.jobs.invariants.leftovers import leftovers
from ami.jobs.invariants.violation import Violation
from ami.jobs.invariants.watching import Watch

__all__ = ["Violation", "Watch", "check", "leftovers"]
