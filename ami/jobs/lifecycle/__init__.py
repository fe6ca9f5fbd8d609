"""The life of a job, one verb a file.

    create ─► enqueue ─► collect ─► publish ─► reserve ─► receive ─► save ─► advance ─► ack ─► finish
      API      Celery     ledger    NATS+Redis   worker     worker    rows    progress   NATS   clean up
                                                POST tasks  POST result
                       cancel, retry and delete cut in anywhere; health watches from the side

- `create.create_job`, `enqueue.run_job`: what an operator does; both return at once.
- `dispatch.dispatch_job`: collect, then publish, in slices under the driver claim (`claims`).
- `reserve.reserve_tasks`, `receive.receive`, `lease_calls`: what a worker does over HTTP.
- `save.save_inbox_row`: what Celery does with an accepted post: save, advance, acknowledge, finish.
- `cancel.cancel_job`, `retry.retry_job`, `requeue.requeue` (dead letters), `delete.delete_job`.

Rule by rule: docs/reference/lifecycle.md.
"""
