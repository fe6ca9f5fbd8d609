"""What Postgres knows about jobs. Rows are written by `ledger`, `transitions` and `logs` only."""

from ami.jobs.models.attempt import Attempt
from ami.jobs.models.contribution import JobContribution
from ami.jobs.models.dead_letter import DeadLetter
from ami.jobs.models.export import DataExport, ExportFormat
from ami.jobs.models.health_report import HealthReport
from ami.jobs.models.inbox import InboxEntry
from ami.jobs.models.job import Job
from ami.jobs.models.log import JobLog
from ami.jobs.models.notification import Notification, Webhook
from ami.jobs.models.sample import JobSample
from ami.jobs.models.stage import JobStage
from ami.jobs.models.task import JobTask

__all__ = [
    "Attempt",
    "DataExport",
    "DeadLetter",
    "ExportFormat",
    "HealthReport",
    "InboxEntry",
    "Job",
    "JobContribution",
    "JobLog",
    "JobSample",
    "JobStage",
    "JobTask",
    "Notification",
    "Webhook",
]
