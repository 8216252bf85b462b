"""What is remembered of a source's drift, by runs that follow each other and by runs that meet."""

import json
from dataclasses import replace

from tenantdags.steps.drift import Difference, Look
from tenantdags.steps.drift_memory import first_looks, meet, path_of, remember_looks
from tests.steps.source_world import WINDOW, Files
from tests.steps.tsql_golden import example

PLAN = example("acme", "orders")
PATH = "_ops/drift/acme/orders/v1.json"
LOOKS = {"status": Look(nullable=False, collation="Latin1_General_CI_AS", computed=False)}


def difference(column: str) -> Difference:
    return Difference(change="added", level="warning", column=column, text=f"{column}: int", source="int")


def met(files: Files, run_id: str, *columns: str) -> list[bool]:
    found = meet(files, PLAN, WINDOW, run_id, [difference(column) for column in columns], None)
    return [line.new for line in found.lines]


def test_each_table_and_major_version_has_a_memory_of_its_own():
    other = replace(PLAN, tenant="globex", contract=replace(PLAN.contract, major=2))

    assert (path_of(PLAN), path_of(other)) == (PATH, "_ops/drift/globex/orders/v2.json")


def test_only_what_was_never_met_is_new():
    files = Files()

    assert met(files, "one", "a") == [True]
    assert met(files, "one", "a") == [True]  # a retry: nobody was told yet
    assert met(files, "two", "b", "a") == [True, False]
    assert met(files, "three", "a", "b") == [False, False]


def test_nothing_is_written_where_nothing_is_new():
    files = Files()
    assert met(files, "one") == []
    assert files.found == {}

    met(files, "one", "a")
    before = dict(files.found)
    met(files, "two", "a")
    assert files.found == before


def test_of_two_runs_that_meet_a_difference_at_once_one_is_first():
    class Overtaken(Files):
        """Another run writes between the reading and the writing of this one."""

        def swap(self, where, path, data, etag):
            if not self.found:
                met(other, "other", "a")
                self.found = dict(other.found)
            return super().swap(where, path, data, etag)

    other, files = Files(), Overtaken()

    assert met(files, "this", "a", "b") == [False, True]
    assert json.loads(files.text(PATH))["met"].keys() == {difference(c).fingerprint for c in "ab"}


def test_the_first_run_of_a_version_of_the_contract_says_how_the_source_looked():
    files = Files()
    assert first_looks(files, PLAN, "x") is None

    remember_looks(files, PLAN, WINDOW, LOOKS)
    remember_looks(files, PLAN, WINDOW, {"status": replace(LOOKS["status"], nullable=True)})
    assert first_looks(files, PLAN, "x") == LOOKS

    newer = replace(PLAN, contract=replace(PLAN.contract, version="1.1.0"))
    assert first_looks(files, newer, "x") is None


def test_a_memory_that_cannot_be_read_remembers_nothing():
    for text in ("", "{}", "[]", '{"format": 1, "looks": {}, "met": {"x": {}}}', '{"format": 9}'):
        files = Files()
        files.write("", PATH, text.encode())

        assert first_looks(files, PLAN, "x") is None
        assert met(files, "one", "a") == [True]
        assert met(files, "two", "a") == [False]
