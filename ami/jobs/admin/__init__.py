"""Jobs in the admin: what an operator looks at when something is odd, and run, cancel and retry for many.

Jobs change through the lifecycle alone, and the ledger through nobody's hands: here it is shown, and what
failed in it is requeued.
"""

from ami.jobs.admin.dead_letters import DeadLetterAdmin
from ami.jobs.admin.exports import DataExportAdmin
from ami.jobs.admin.health import HealthReportAdmin
from ami.jobs.admin.job import JobAdmin
from ami.jobs.admin.ledger import AttemptAdmin, InboxEntryAdmin, JobLogAdmin, JobTaskAdmin
from ami.jobs.admin.notifications import NotificationAdmin, WebhookAdmin

__all__ = [
    "AttemptAdmin",
    "DataExportAdmin",
    "DeadLetterAdmin",
    "HealthReportAdmin",
    "InboxEntryAdmin",
    "JobAdmin",
    "JobLogAdmin",
    "JobTaskAdmin",
    "NotificationAdmin",
    "WebhookAdmin",
]
