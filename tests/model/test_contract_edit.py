"""A contract's text with some columns changed: what is not meant stays, byte by byte."""

import pytest

from tenantdags.model.contract_edit import Edit, edited
from tests.model.test_contracts import FILES

TEXT = """\
# Größe: a comment with letters of two bytes, and one of four: 😀
version: 1.0.0
schema:
  - name: t
    properties:
      - {id: a, name: a, logicalType: integer, physicalType: int, required: true}  # of a
      # about b
      - name: b
        logicalType: string   # text
        physicalType: varchar(3)
        tags: [x]  # last of b
      # about c
      - {name: c, logicalType: number, physicalType: 'decimal(9,2)'}
    quality: []
"""


@pytest.mark.parametrize(
    ("edits", "add", "old", "new"),
    [
        ((), (), "", ""),
        ([Edit("a", "drop")], (), TEXT[TEXT.index("      - {id: a") : TEXT.index("      # about b")], ""),
        ([Edit("b", "drop")], (), TEXT[TEXT.index("      - name: b") : TEXT.index("      # about c")], ""),
        ([Edit("c", "drop")], (), "      - {name: c, logicalType: number, physicalType: 'decimal(9,2)'}\n", ""),
        ([Edit("a", "physical_name", "Art Nr")], (), "name: a,", "name: a, physicalName: 'Art Nr',"),
        ([Edit("b", "physical_name", "B2")], (), "name: b\n", "name: b\n        physicalName: B2\n"),
        ([Edit("a", "physical_type", "bigint")], (), "physicalType: int,", "physicalType: bigint,"),
        ([Edit("c", "physical_type", "decimal(9,4)")], (), "'decimal(9,2)'", "'decimal(9,4)'"),
        ([Edit("b", "physical_type", "date")], (), "string   # text\n        physicalType: varchar(3)",
         "date   # text\n        physicalType: date"),
        ((), ["- {name: d}", "# e"], "9,2)'}\n", "9,2)'}\n      - {name: d}\n      # e\n"),
    ],
    ids=["nothing", "first", "block", "last", "flow name", "block name", "type", "decimal", "kind", "add"],
)  # fmt: skip
def test_an_edit_changes_what_it_names(edits, add, old, new):
    assert edited(TEXT, edits, add, "1.0.0") == TEXT.replace(old, new, 1)


def test_several_edits_and_a_version_do_not_get_in_each_others_way():
    said = edited(
        TEXT, [Edit("c", "physical_type", "money"), Edit("a", "drop"), Edit("b", "physical_name", "B")], (), "2.0.0"
    )

    assert "version: 2.0.0" in said
    assert said.count("\n") == TEXT.count("\n")
    assert [word in said for word in ("physicalName: B", "physicalType: money", "name: a,")] == [True, True, False]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_seed_contract_is_left_as_it_is_by_no_edit(path):
    assert edited(path.read_text(), (), (), "1.0.0") == path.read_text()
