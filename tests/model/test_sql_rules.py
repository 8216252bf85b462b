"""SQL of a contract's own: what may run on both engines is let through, everything else is refused and named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tenantdags.model.sql_rules import FUNCTIONS, TYPES, one_line, refusals
from tests.repository import ROOT

COLUMNS = ("order_id", "order_date", "status", "amount", "currency", "is_active")

GOOD = (
    "SELECT count(*) FROM ${table} WHERE amount < 0",
    "select sum(amount) - sum(CASE WHEN status = 'RETURNED' THEN amount ELSE 0 END) from ${table}",
    "WITH few AS (SELECT currency, count(*) AS n FROM ${table} GROUP BY currency HAVING count(*) < 3) "
    "SELECT count(*) FROM few WHERE n > 1",
    "SELECT count(*) FILTER (WHERE status IS NULL) * 100.0 / nullif(count(*), 0) FROM ${table}",
    "SELECT count(DISTINCT currency) FROM ${table} AS t WHERE status <> ''",
    "SELECT coalesce(max(amount), 0) FROM ${table}",
    "SELECT count(*) FROM ${table} AS a LEFT JOIN ${table} AS b ON a.order_id = b.order_id WHERE b.status IS NULL",
    "SELECT (SELECT count(*) FROM ${table} WHERE amount > 1) - (SELECT count(*) FROM ${table} WHERE amount < 1)",
    "SELECT count(*) FROM ${table} WHERE order_date < TIMESTAMP '2000-01-01 00:00:00' - INTERVAL '1' DAY",
    "SELECT count(*) FROM ${table} t WHERE NOT EXISTS (SELECT 1 FROM ${table} u WHERE u.order_id = t.order_id)",
    "SELECT count(*) FROM (SELECT status FROM ${table} UNION ALL SELECT currency FROM ${table}) AS x "
    "WHERE status LIKE 'a%' OR status IN ('b', '-- no comment')",
    "SELECT count(*) FROM ${table} WHERE status || currency IS NOT DISTINCT FROM 'x' AND is_active AND -amount % 2 = 1",
)

REFUSED = {
    "DELETE FROM ${table}": ("CFG152", "must begin with SELECT or WITH"),
    "FROM ${table} SELECT count(*)": ("CFG152", "must begin with SELECT or WITH"),
    "COPY (SELECT 1 FROM ${table}) TO 'x'": ("CFG152", "must begin with SELECT or WITH"),
    "SELECT count(*) FROM ${table}; DROP TABLE x": ("CFG152", "semicolon"),
    "SELECT count(*) INTO x FROM ${table}": ("CFG160", "INTO x"),
    "SELECT count(* FROM ${table}": ("CFG152", "cannot be read as SQL"),
    "SELECT 1 FROM ${table} UNION ALL SELECT 2 FROM ${table}": ("CFG152", "must be one SELECT"),
    # more or less than one number
    "SELECT amount FROM ${table}": ("CFG152", "a row for every row"),
    "SELECT 1 FROM ${table}": ("CFG152", "a row for every row"),
    "SELECT count(*) + amount FROM ${table}": ("CFG152", "a row for every row"),
    "SELECT count(*), sum(amount) FROM ${table}": ("CFG152", "returns 2 columns"),
    "SELECT * FROM ${table}": ("CFG152", "returns all columns"),
    "SELECT count(*) FROM ${table} GROUP BY status": ("CFG152", "several rows"),
    "SELECT DISTINCT max(amount) FROM ${table}": ("CFG152", "several rows"),
    # other relations than the rows under check
    "SELECT count(*) FROM orders": ("CFG153", "must read from ${table}"),
    "SELECT count(*) FROM ${table}, prod.curated.orders_v1": ("CFG153", "reads prod.curated.orders_v1"),
    "SELECT count(*) FROM ${table} WHERE order_id IN (SELECT order_id FROM globex)": ("CFG153", "reads globex"),
    "SELECT count(*) FROM 'tenant_id=globex/x.parquet', ${table}": ("CFG153", "reads "),
    "SELECT count(*) FROM read_parquet('abfss://x/tenant_id=globex/*'), ${table}": ("CFG159", "calls read_parquet"),
    "SELECT count(*) FROM range(10), ${table}": ("CFG159", "calls range"),
    "SELECT count(*) FROM IDENTIFIER('a.b'), ${table}": ("CFG159", "calls identifier"),
    "SELECT count(*) FROM (VALUES (1)) AS v, ${table}": ("CFG159", "calls values"),
    "SELECT count(*) FROM x${table}": ("CFG153", "reads x${table}"),
    "SELECT count(*) FROM ${table} WHERE status = '${table}'": ("CFG153", "outside of quotes"),
    "SELECT count(*) FROM ${table} WHERE status = '${env.HOME}'": ("CFG153", "may hold $ in ${table} alone"),
    "WITH rows_under_check AS (SELECT 1 AS n) SELECT count(*) FROM ${table}": ("CFG153", "another name"),
    # functions
    "SELECT count(*) FROM ${table} WHERE len(status) = 1": ("CFG159", "did you mean 'length'?"),
    "SELECT getenv('HOME') FROM ${table}": ("CFG159", "docs/quality.md lists them"),
    "SELECT ai_query('x') FROM ${table}": ("CFG159", "calls ai_query"),
    "SELECT any_value(status) FROM ${table}": ("CFG159", "calls any_value"),
    "SELECT count(*) FROM ${table} WHERE order_date > now()": ("CFG159", "calls now"),
    "SELECT count(*) FROM ${table} WHERE order_date > current_date": ("CFG159", "another clock"),
    "SELECT row_number() OVER (ORDER BY amount) FROM ${table}": ("CFG159", "calls row_number"),
    "SELECT sum(amount) OVER () FROM ${table}": ("CFG159", "calls over"),
    # read differently
    "SELECT max(CAST(amount AS INT)) FROM ${table}": ("CFG160", "casts to INT"),
    "SELECT count(*) FROM ${table} WHERE amount::int = 1": ("CFG160", "casts to INT"),
    "SELECT 2 ^ count(*) FROM ${table}": ("CFG159", "POWER"),
    "SELECT count(*) FROM ${table} WHERE amount // 2 = 1": ("CFG160", "divides differently"),
    "SELECT count(*) FROM ${table} WHERE status ~ 'a'": ("CFG160", "use a pattern rule"),
    "SELECT count(*) FROM ${table} ORDER BY 1": ("CFG160", "sorts NULLs differently"),
    "SELECT count(*) FROM ${table} LIMIT 1": ("CFG160", "by chance"),
    "SELECT count(*) FROM ${table} TABLESAMPLE (10 PERCENT)": ("CFG159", "calls tablesample"),
    "SELECT count(*) FROM ${table} VERSION AS OF 1": ("CFG160", "VERSION AS OF 1"),
    "SELECT count(*) FROM ${table} QUALIFY 1 = 1": ("CFG160", "QUALIFY"),
    "SELECT count(*) FROM ${table} NATURAL JOIN ${table} AS b": ("CFG160", "joins by NATURAL"),
    "SELECT count(*) FROM ${table} SEMI JOIN ${table} AS b ON true": ("CFG160", "joins by SEMI"),
    "SELECT count(DISTINCT status, currency) FROM ${table}": ("CFG160", "duplicateValues"),
    "SELECT count(*) FROM ${table} WHERE status = ?": ("CFG160", "is a parameter"),
    "WITH RECURSIVE t AS (SELECT 1 AS n FROM ${table}) SELECT count(*) FROM t": ("CFG160", "recursive"),
    'SELECT count(*) FROM ${table} WHERE status = "NEW"': ("CFG160", "in one engine only"),
    "SELECT count(*) FROM ${table} WHERE `status` = 'NEW'": ("CFG160", "in one engine only"),
    "SELECT count(*) FROM ${table} WHERE status = 'a\\b'": ("CFG160", "backslash"),
    "SELECT count(*) FROM ${table} WHERE status = 'it''s'": ("CFG160", "doubled quote"),
    "SELECT count(*) FROM ${table} -- all": ("CFG160", "comment"),
    "SELECT count(*) FROM ${table} /* all */": ("CFG160", "comment"),
    # columns
    "SELECT count(*) FROM ${table} WHERE amout > 1": ("CFG144", "did you mean 'amount'?"),
    "SELECT count(*) FROM ${table} WHERE tenant_id = 'globex'": ("CFG144", "'tenant_id' is not a column"),
    "SELECT count(*) FROM ${table} WHERE _source_tenant = 'globex'": ("CFG144", "'_source_tenant' is not a column"),
}


@pytest.mark.parametrize("query", GOOD)
def test_a_query_of_known_words_may_run(query):
    assert refusals(query, COLUMNS) == ()


@pytest.mark.parametrize("query", REFUSED)
def test_any_other_query_is_refused_and_the_first_reason_named(query):
    rule, part = REFUSED[query]

    found = refusals(query, COLUMNS)

    assert rule in [broken for broken, _ in found]
    assert part in next(text for broken, text in found if broken == rule)


def test_white_space_is_put_together_outside_of_quotes_only():
    assert one_line("  SELECT\n  1\tFROM x WHERE a = 'b  c\nd' \n") == "SELECT 1 FROM x WHERE a = 'b  c\nd'"


def test_the_page_lists_the_words_that_may_be_used():
    page = (ROOT / "docs/quality.md").read_text()

    assert ", ".join(f"`{name}`" for name in sorted(FUNCTIONS)) in page
    assert ", ".join(f"`{name}`" for name in TYPES) in page


def test_loading_a_contract_with_a_query_imports_no_parser():
    script = (
        "import sys; from tenantdags.model.sql_rules import text_refusals; text_refusals('SELECT 1'); "
        "sys.exit('sqlglot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(ROOT / "plugins")}, check=False)

    assert done.returncode == 0
