"""Uploads that are processed at once: the endpoint of `main`, with the job that only this layer knows."""

from __future__ import annotations

from ami.base.errors import InvalidInput
from ami.jobs.lifecycle.create import create_job
from ami.jobs.lifecycle.enqueue import run_job
from ami.main.api.views.uploads import UploadViewSet
from ami.main.models import Deployment, SourceImageUpload
from ami.users.models import User


class ProcessedUploadViewSet(UploadViewSet):
    """Uploads of the caller; with `process_now`, a job with the project's default pipeline."""

    def check_processing(self, deployment: Deployment) -> None:
        """Raise a 400 without a default pipeline, a 403 for who may not run a job on one capture."""
        if deployment.project.default_processing_pipeline is None:
            raise InvalidInput("The project has no default pipeline; choose one in its settings.")
        if not self.access.may("run_single_image_ml_job", deployment.project_id):
            self.permission_denied(self.request)

    def process(self, upload: SourceImageUpload) -> None:
        """Create and run a job for the one capture."""
        project = upload.deployment.project
        job = create_job(
            name=f"Upload {upload.pk}",
            project=project,
            pipeline=project.default_processing_pipeline,
            source_image_single=upload.source_image,
            created_by=self.request.user if isinstance(self.request.user, User) else None,
        )
        run_job(job)
