"""push: the way of an image that a service works on at our request (`sync_api`; contract 1.11 and part B 7).

Only the first and the last step differ from pulled jobs: images are leased by a slice of ours and posted to
`/process`, without NATS and Redis, and nothing is acknowledged. What the service answers goes the way of a
worker's post: receive, inbox, save, advance, finish.

- `batches`: leases the next images in the ledger, those that failed before alone;
- `call`: one request to `/process`, and what kind of failure it was;
- `known_boxes`: what was found before and goes along;
- `answers`: what an answer says about each image;
- `online`: which services are there, the quickest first;
- `slice`: puts them together, several requests at once, for at most a minute.
"""

from __future__ import annotations

from ami.jobs.lifecycle.push.slice import push_slice

__all__ = ["push_slice"]
