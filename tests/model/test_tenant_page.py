"""docs/tenant-file.md says what the code accepts."""

from tests.tenant_page import PAGE, page


def test_the_page_is_what_the_code_says():
    assert page() == PAGE.read_text()


def test_every_key_is_described():
    rows = [line for line in page().splitlines() if line.startswith("| `")]

    assert len(rows) > 40
    assert [row for row in rows if row.rstrip(" |").endswith("|")] == []
