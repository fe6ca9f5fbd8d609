"""Addresses of the pages."""

from __future__ import annotations

from django.urls import path

from ami.dashboard.accounts import LogIn, LogOut
from ami.dashboard.views.capture import capture
from ami.dashboard.views.captures import capture_set, station
from ami.dashboard.views.exports import export, exports
from ami.dashboard.views.job import job
from ami.dashboard.views.job_actions import cancel, retry_failed, run
from ami.dashboard.views.jobs import expected, jobs, start
from ami.dashboard.views.overview import home, overview
from ami.dashboard.views.pictures import thumbnail
from ami.dashboard.views.projects import project, projects
from ami.dashboard.views.workers import worker, workers

app_name = "dashboard"
urlpatterns = [
    path("", home, name="home"),
    path("overview/", overview, name="overview"),
    path("jobs/", jobs, name="jobs"),
    path("jobs/<int:pk>/", job, name="job"),
    path("jobs/<int:pk>/run/", run, name="job-run"),
    path("jobs/<int:pk>/cancel/", cancel, name="job-cancel"),
    path("jobs/<int:pk>/retry-failed/", retry_failed, name="job-retry-failed"),
    path("projects/<int:pk>/start/", start, name="start"),
    path("projects/<int:pk>/start/expected/", expected, name="expected"),
    path("workers/", workers, name="workers"),
    path("workers/<int:pk>/", worker, name="worker"),
    path("projects/", projects, name="projects"),
    path("projects/<int:pk>/", project, name="project"),
    path("projects/<int:pk>/exports/", exports, name="exports"),
    path("exports/<int:pk>/", export, name="export"),
    path("sets/<int:pk>/", capture_set, name="set"),
    path("stations/<int:pk>/", station, name="station"),
    path("captures/<int:pk>/", capture, name="capture"),
    path("captures/<int:pk>/thumbnail/<int:width>/", thumbnail, name="capture-thumbnail"),
    path("login/", LogIn.as_view(), name="login"),
    path("logout/", LogOut.as_view(), name="logout"),
]
