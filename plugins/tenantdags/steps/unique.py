"""Duplicate keys, counted by the keys themselves, in SQL that DuckDB and Databricks read alike.

Soda compares MD5 sums of texts put together: at twice the cost, and `a||b, c` and `a, b||c` would be one key to it.
"""

from __future__ import annotations

from collections.abc import Iterable


def duplicates(relation: str, columns: Iterable[str], *conditions: str, label: str = "") -> str:
    """One number: the rows beyond the first of each key. A row with NULL in a column has no key, as in SQL's UNIQUE.

    `columns` are quoted as the engine wants them; `label` stands in front of the number.
    """
    names = list(columns)
    given = "\n    AND ".join([*conditions, *(f"{name} IS NOT NULL" for name in names)])
    return f"""\
SELECT {label}coalesce(sum(copies - 1), 0) AS duplicates
FROM (
  SELECT count(*) AS copies
  FROM {relation}
  WHERE {given}
  GROUP BY {", ".join(names)}
  HAVING count(*) > 1
) AS doubled"""
