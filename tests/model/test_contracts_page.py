"""docs/contracts.md says of drift exactly what the product does."""

from pathlib import Path

from tenantdags.model.drift_policy import MATRIX

PAGE = Path(__file__).parents[2] / "docs" / "contracts.md"


def test_the_pages_matrix_is_the_products():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")][2:]

    assert rows == [f"| {c.shows}{' *' if c.since else ''} | {c.allow} | {c.stop} | {c.why} |" for c in MATRIX]
