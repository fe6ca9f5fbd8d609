"""The search for captures by a taxon and all that belongs to it, which may be a species or all moths.

Few taxa are few rows of an index, and Postgres begins there. Of many taxa it believes that it had better read
all classifications of the platform first: with 1,000,000 captures and an order of 30,000 taxa a page takes
one to two seconds then, and more with every capture. So captures of many taxa are tried one by one, newest
first, and the search ends when a page is full: 0.2 s where they are common, one second where none of the
50,000 captures that a page looks at is of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, QuerySet, Subquery, Value

from ami.ml.models import Classification

FEW = 500
"""Taxa up to which the index on them is the way; measured, and not critical."""


class _OneOfMany(Func):
    """Whether a key is among many: looked up in a hash, which needs one constant array, and no index.

    With an index Postgres would sort the whole array for each row that it looks up; "+ 0" hides it.
    """

    template = "(%(expressions)s::bigint[]))"
    arg_joiner = " + 0 = ANY("
    output_field = BooleanField()


def of_taxa(names: QuerySet[Classification], taxa: Sequence[int]) -> QuerySet[Classification]:
    """Those of the names that are of one of the taxa."""
    if len(taxa) <= FEW:
        return names.filter(taxon_id__in=taxa)
    return names.filter(_OneOfMany(F("taxon_id"), Value(list(taxa))))


def has_name(names: QuerySet[Classification], taxa: Sequence[int] | None) -> Q:
    """The condition on a capture that one of these names, which are of these taxa, is on it."""
    found = names.filter(detection__source_image_id=OuterRef("pk"))
    if taxa is None or len(taxa) <= FEW:
        return Q(Exists(found))
    # Postgres makes a join or a hash table of EXISTS, but looks up a value for each row.
    return Q(Subquery(found.annotate(is_there=Value(True)).values("is_there")[:1]))
