"""Where every image of a job is, and what will happen to it next, in words and figures; changes nothing.

`trace` asks NATS and Redis first (`queues`), then Postgres at one moment (`groups`, `view`). `places` decides
where an image is, `words` and `outcomes` say it, `waits` says what the job waits for, `agreement` and
`verdicts` say whether the servers agree, `text` writes it down.
"""

from ami.jobs.tracing.queues import QUICK
from ami.jobs.tracing.text import text_of
from ami.jobs.tracing.trace import NotInJob, Trace, trace

__all__ = ["QUICK", "NotInJob", "Trace", "text_of", "trace"]
