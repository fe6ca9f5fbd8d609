"""Every route of the API, under `/api/v2/`. Basenames are the link names: `api:<basename>-detail`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.permissions import AllowAny
from rest_framework.routers import APIRootView, DefaultRouter

from ami.jobs.api.autoscaling import AutoscalingViewSet
from ami.jobs.api.data_calls import PopulatedCaptureSetViewSet, SyncedDeploymentViewSet
from ami.jobs.api.exports import ExportViewSet
from ami.jobs.api.health import HealthReportViewSet
from ami.jobs.api.task_views import TaskViewSet
from ami.jobs.api.uploads import ProcessedUploadViewSet
from ami.jobs.api.views import JobViewSet
from ami.jobs.api.webhooks import WebhookViewSet
from ami.jobs.api.workers import WorkerViewSet
from ami.main.api.views.captures import CaptureViewSet
from ami.main.api.views.deployments import DeviceViewSet, SiteViewSet
from ami.main.api.views.events import EventViewSet
from ami.main.api.views.files import capture_file
from ami.main.api.views.projects import MemberViewSet, ProjectViewSet
from ami.main.api.views.status import SummaryView
from ami.main.api.views.storage import StorageViewSet
from ami.main.api.views.taxa import TaxonViewSet
from ami.ml.api.views.keys import WorkerKeyViewSet
from ami.ml.api.views.pipelines import (
    AlgorithmViewSet,
    CategoryMapViewSet,
    PipelineViewSet,
    ProjectPipelineViewSet,
)
from ami.ml.api.views.predictions import ClassificationViewSet, DetectionViewSet
from ami.ml.api.views.services import ProcessingServiceViewSet
from ami.users.api.views import LoginView, LogoutView, UserViewSet


class OpenRootView(APIRootView):
    """The table of contents, for everybody."""

    permission_classes = [AllowAny]


class Router(DefaultRouter):
    """Django REST framework's router, with an open table of contents."""

    APIRootView = OpenRootView


router = Router()

# Accounts
router.register("users", UserViewSet, basename="user")

# Projects, stations, captures. Longer prefixes first: `captures/upload` would else be taken for a capture.
router.register(r"projects/(?P<project_pk>[^/.]+)/members", MemberViewSet, basename="project-member")
router.register(r"projects/(?P<project_pk>[^/.]+)/webhooks", WebhookViewSet, basename="project-webhook")
router.register("projects", ProjectViewSet, basename="project")
router.register("deployments/devices", DeviceViewSet, basename="device")
router.register("deployments/sites", SiteViewSet, basename="site")
router.register("deployments", SyncedDeploymentViewSet, basename="deployment")
router.register("captures/upload", ProcessedUploadViewSet, basename="upload")
router.register("captures/collections", PopulatedCaptureSetViewSet, basename="sourceimagecollection")
router.register("captures", CaptureViewSet, basename="sourceimage")
router.register("events", EventViewSet, basename="event")
router.register("storage", StorageViewSet, basename="storagesource")

router.register("taxa", TaxonViewSet, basename="taxon")

# Models and predictions
router.register(
    r"projects/(?P<project_pk>[^/.]+)/pipelines", ProjectPipelineViewSet, basename="project-pipeline"
)
router.register("ml/pipelines", PipelineViewSet, basename="pipeline")
router.register("ml/algorithms", AlgorithmViewSet, basename="algorithm")
router.register("ml/labels", CategoryMapViewSet, basename="categorymap")
router.register(
    r"ml/processing_services/(?P<service_pk>[^/.]+)/keys", WorkerKeyViewSet, basename="worker-key"
)
router.register("ml/workers", WorkerViewSet, basename="worker")
router.register("ml/processing_services", ProcessingServiceViewSet, basename="processingservice")
router.register("detections", DetectionViewSet, basename="detection")
router.register("classifications", ClassificationViewSet, basename="classification")

# Jobs
router.register("jobs", JobViewSet, basename="job")
router.register("exports", ExportViewSet, basename="dataexport")
router.register("tasks", TaskViewSet, basename="task")
router.register("autoscaling", AutoscalingViewSet, basename="autoscaling")
router.register("health/reports", HealthReportViewSet, basename="health-report")

app_name = "api"
urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^auth/token/login/?$", LoginView.as_view(), name="login"),
    re_path(r"^auth/token/logout/?$", LogoutView.as_view(), name="logout"),
    path("captures/<int:pk>/file/", capture_file, name="capture-file"),
    path("status/summary/", SummaryView.as_view(), name="status-summary"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="api:schema"), name="docs"),
    path("", include(router.urls)),
]
