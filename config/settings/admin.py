"""The admin site: its name, its colours, and its menu."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "AMI admin",
    "SITE_HEADER": "AMI",
    "SITE_SUBHEADER": "for operators",
    "SITE_SYMBOL": "bug_report",
    "SITE_URL": reverse_lazy("dashboard:overview"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _: static("dashboard/icon.svg")}
    ],
    "STYLES": [lambda _: static("ami_admin/admin.css")],
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "config.admin_menu.menu",
    },
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .02 160)",
            "100": "oklch(94% .04 160)",
            "200": "oklch(89% .07 160)",
            "300": "oklch(82% .10 160)",
            "400": "oklch(72% .12 160)",
            "500": "oklch(62% .12 160)",
            "600": "oklch(50% .10 160)",
            "700": "oklch(43% .085 160)",
            "800": "oklch(37% .07 160)",
            "900": "oklch(32% .06 160)",
            "950": "oklch(22% .045 160)",
        }
    },
}
LOGIN_REDIRECT_URL = "admin:index"
"""After logging in to the admin itself; the pages of AMI say where they lead to."""
