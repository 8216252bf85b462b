"""The page for authors of configuration pull requests shows what the commands really say."""

from tests.config_pr_page import PAGE, page


def test_every_output_in_the_page_is_the_commands():
    assert PAGE.read_text() == page()
