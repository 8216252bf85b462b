"""The gates benchmark in small: all three let a good load through, and find the same bad one."""

import duckdb
import pytest

from benchmarks.gates import OURS, SODA, SQL, contenders, require_passed
from benchmarks.gates_contenders import RULES
from benchmarks.gates_world import LOAD, make_load, plan
from benchmarks.measure import ContenderError, measure


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("gates")
    make_load(root, 1_000)
    return root


def test_all_three_let_a_good_load_through_and_stop_a_bad_one(root):
    good = {label: measure(**arguments) for label, arguments in contenders(root).items()}
    part = root / "staging/acme/orders" / LOAD / "part-00000.parquet"
    rows = f"SELECT * REPLACE (0 AS order_id, -amount AS amount) FROM '{part}'"
    duckdb.sql(f"COPY (SELECT * FROM ({rows})) TO '{part}.new' (FORMAT parquet)")
    part.with_suffix(".parquet.new").replace(part)
    bad = {label: measure(**arguments).result for label, arguments in contenders(root).items() if label != OURS}

    require_passed(good)
    assert {label: result["outcome"] for label, result in bad.items()} == {SODA: "fail", SQL: "fail"}
    assert bad[SODA]["failing"] == ["pk_unique", "amount_range"]
    with pytest.raises(ContenderError, match="the gates told"):
        require_passed({label: type(one)(1, 1, 1, 1, 1, bad[SODA]) for label, one in good.items()})


def test_soda_is_asked_every_rule_that_our_gate_asks_of_the_files():
    ours = [c for c in plan().checks if c.kind not in ("reconcile", "volume_band") and not c.before_hashing]

    assert len(ours) == RULES
