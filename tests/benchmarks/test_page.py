"""docs/benchmarks.md: a section is replaced between its markers, the rest stays."""

import platform

import pytest

from benchmarks.page import PAGE, machine, table, write_section


def test_a_section_is_replaced_and_the_rest_stays(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Top\n<!-- a:begin -->\nold\n<!-- a:end -->\nmiddle\n<!-- b:begin -->\n<!-- b:end -->\nend\n")

    write_section("a", "new\n", page)
    write_section("b", "other", page)

    assert page.read_text() == (
        "# Top\n<!-- a:begin -->\nnew\n<!-- a:end -->\nmiddle\n<!-- b:begin -->\nother\n<!-- b:end -->\nend\n"
    )


def test_a_page_without_the_section_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Top\n")

    with pytest.raises(ValueError, match="has no section extract"):
        write_section("extract", "new", page)
    assert page.read_text() == "# Top\n"


@pytest.mark.parametrize("name", ["extract", "parse", "check", "processor"])
def test_the_real_page_has_the_section(name):
    text = PAGE.read_text()

    assert text.index(f"<!-- {name}:begin -->") < text.index(f"<!-- {name}:end -->")


def test_numbers_align_right():
    assert table(["engine", "rows/s"], [["ours", "700"]]) == "| engine | rows/s |\n| --- | ---: |\n| ours | 700 |"


def test_the_machine_is_described_without_its_name():
    assert platform.node() not in machine()
    assert "cores" in machine()
