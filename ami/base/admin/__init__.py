"""The admin for operators: what every list, page and action of it has in common.

Each app registers its models in an `admin` package of its own, on these bases. The look is django-unfold's.
"""

from ami.base.admin.filters import chosen
from ami.base.admin.models import ModelAdmin, ReadOnlyAdmin, TabularInline
from ami.base.admin.pages import BoundedPaginator

__all__ = ["BoundedPaginator", "ModelAdmin", "ReadOnlyAdmin", "TabularInline", "chosen"]
