"""`python -m ami.worker` is `ami-worker`."""

from __future__ import annotations

from ami.worker.cli import main

raise SystemExit(main())
