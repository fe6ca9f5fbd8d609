"""Addresses of the pages."""

from __future__ import annotations

from django.urls import path

from ami.dashboard.accounts import LogIn, LogOut
from ami.dashboard.views.capture import capture
from ami.dashboard.views.captures import capture_set, station
from ami.dashboard.views.exports import export, exports
from ami.dashboard.views.pictures import thumbnail
from ami.dashboard.views.projects import project, projects

app_name = "dashboard"
urlpatterns = [
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
