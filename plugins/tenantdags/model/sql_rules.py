"""Which SQL a contract's own rule may be: one read-only SELECT of one number that both engines read alike.

The rule runs as it stands, on DuckDB over the staged files and on Databricks over the append. So it may use only what
means the same on both, listed here and in docs/quality.md; everything else is refused, known or unknown.

DuckDB: https://duckdb.org/docs/stable/sql/introduction
Databricks: https://docs.databricks.com/en/sql/language-manual/index.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from tenantdags.model.fields import suggestion

Refusal = tuple[str, str]  # rule, what is wrong and how to mend it

AGGREGATES = ("avg", "count", "count_if", "max", "min", "sum")
FUNCTIONS = (
    *AGGREGATES, "abs", "ceil", "coalesce", "day", "floor", "greatest", "hour", "least", "left", "length", "lower",
    "ltrim", "minute", "month", "nullif", "replace", "right", "round", "rtrim", "substr", "substring", "trim", "upper",
    "year",
)  # fmt: skip
TYPES = ("DATE", "DECIMAL", "DOUBLE", "TIMESTAMP")  # to whole numbers and text the engines cast differently

TABLE = "${table}"
_INSTANTS = ("TIMESTAMPNTZ", "TIMESTAMPTZ")  # what TIMESTAMP is to the one parser and to the other
_LISTED = "; docs/quality.md lists them"
_ROWS = "rows_under_check"  # stands for ${table} while the text is parsed
_DIALECTS = ("duckdb", "databricks")
# what may stand before a bracket and is no function; expressions by their class in sqlglot; calls by theirs, beside the
# name they have in the text
_WORDS_BEFORE = """all and any as between by case cast decimal distinct else exists filter from having in inner interval
    is join like not on or select then union when where"""
_EXPRESSIONS = """Add Alias And Between Boolean Case Cast Column CTE DataType DataTypeParam Distinct Div DPipe EQ Exists
    Filter From Group GT GTE Having Identifier If In Interval Is Join Like Literal LT LTE Mod Mul NEQ Neg Not Null
    NullSafeEQ NullSafeNEQ Or Paren Select Star Sub Subquery Table TableAlias Union Var Where With"""
_CALLS = """Abs Avg Ceil Coalesce Count CountIf Day Floor Greatest Hour Least Left Length Lower Max Min Minute Month
    Nullif Replace Right Round Substring Sum Trim TsOrDsToDate Upper Year"""
_BEFORE_A_BRACKET = frozenset(_WORDS_BEFORE.split())
_KNOWN = frozenset(f"{_EXPRESSIONS} {_CALLS}".split())
_WHY = {
    "Delete": "writes", "Insert": "writes", "Update": "writes", "Merge": "writes", "Create": "writes", "Drop": "writes",
    "Command": "is no query", "Copy": "reads or writes files", "Order": "sorts NULLs differently",
    "Window": "is a window function", "Limit": "picks rows by chance", "Lambda": "is a lambda",
    "IntDiv": "divides differently", "BitwiseXor": "is a power in one engine and XOR in the other",
    "RegexpLike": "differs between the engines; use a pattern rule", "Placeholder": "is a parameter",
    "Parameter": "is a parameter", "TableSample": "picks rows by chance", "Pivot": "pivots",
}  # fmt: skip


def refusals(query: str, columns: Iterable[str]) -> tuple[Refusal, ...]:
    """What is wrong with a rule's text, in a fixed order; empty for one that may run. `columns` are what rows have."""
    if found := text_refusals(query):
        return found
    known = frozenset(name.lower() for name in columns)
    # one dialect's parser may see a thing that the other's takes for something harmless
    asked = (tuple(dict.fromkeys(_in_dialect(query, known, dialect))) for dialect in _DIALECTS)
    return next(filter(None, asked), ())


def one_line(query: str) -> str:
    """The query with its white space as single spaces; what stands in quotes is left as it is."""
    parts = re.split(r"('[^']*')", query.strip())
    return "".join(part if i % 2 else re.sub(r"\s+", " ", part) for i, part in enumerate(parts))


def text_refusals(query: str) -> tuple[Refusal, ...]:
    """What is seen without a parser, whose import costs more than parsing a tenant's DAGs."""
    return tuple(_in_the_text(query))


def _in_the_text(query: str) -> Iterator[Refusal]:
    """What must not even be parsed, as the two engines would not agree on where a text ends."""
    bare = re.sub(r"'[^']*'", "''", query)
    if not re.match(r"(?i)\s*(select|with)\b", query):
        yield "CFG152", "must begin with SELECT or WITH: a rule only reads"
    if ";" in query:
        yield "CFG152", "holds a semicolon; a rule is one SELECT"
    if re.search(r"--|/\*", bare):
        yield "CFG160", "holds a comment; say it in the rule's name"
    if "\\" in query:
        yield "CFG160", "holds a backslash, which is an escape in one engine only; write the letter itself"
    if "''''" in bare:  # two texts side by side
        yield "CFG160", "holds a doubled quote, which is a quote in one engine and nothing in the other; use LIKE and _"
    if '"' in bare or "`" in bare:
        yield "CFG160", "holds \" or `, which are names in one engine only; write names bare and texts in ' '"
    if TABLE not in bare:
        yield "CFG153", f"must read from {TABLE}, which stands for the rows under check"
    if "$" in bare.replace(TABLE, "") or query.count("$") != bare.count("$"):
        yield "CFG153", f"may hold $ in {TABLE} alone, which stands for the rows under check, outside of quotes"


def _in_dialect(query: str, columns: frozenset[str], dialect: str) -> Iterator[Refusal]:
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    text = query.replace(TABLE, _ROWS)
    try:
        statements = parse(text, dialect=dialect)
    except SqlglotError as error:
        yield "CFG152", f"cannot be read as SQL: {str(error).splitlines()[0]}"
        return
    tree = statements[0]
    if len(statements) != 1 or not isinstance(tree, exp.Select):
        yield "CFG152", "must be one SELECT that returns one number"
        return
    calls = [*_strange_calls(text, dialect)]
    found = [*calls, *_strange_nodes(tree, told=bool(calls)), *_strange_relations(tree)]
    yield from found
    if not found:
        yield from _not_one_number(tree)
        yield from _strange_columns(tree, columns)


def _strange_nodes(tree: Any, *, told: bool) -> Iterator[Refusal]:
    """`told`: a function outside the list was named by its text, which says it better than its class."""
    refused: list[Any] = []
    for node in tree.walk(prune=lambda n: n in refused):
        why = _why_strange(node, told)
        if why:
            refused.append(node)
            yield why


def _why_strange(node: Any, told: bool) -> Refusal | None:
    from sqlglot import exp

    name = type(node).__name__
    if isinstance(node, exp.DataType) and node.this.name not in (*TYPES, *_INSTANTS):
        what = f"casts to {node.this.name}, which the engines round or write differently"
        return "CFG160", f"{what}; cast to {', '.join(TYPES[:-1])} or {TYPES[-1]}"
    if isinstance(node, exp.With) and node.args.get("recursive"):
        return "CFG160", "is recursive; write it without"
    if isinstance(node, exp.Distinct) and len(node.expressions) > 1:
        return "CFG160", "counts DISTINCT over several columns, which one engine cannot; use a duplicateValues rule"
    if isinstance(node, exp.Join) and (node.args.get("method") or node.kind not in ("", "CROSS", "INNER", "OUTER")):
        return "CFG160", f"joins by {node.args.get('method') or node.kind}; join with ON, or ask with EXISTS"
    if name in _KNOWN:
        return None
    if isinstance(node, exp.Func) and name not in _WHY:
        return None if told else ("CFG159", f"{_shown(node)} is not among the functions a rule may call{_LISTED}")
    return "CFG160", f"{_shown(node)} {_WHY.get(name, 'is not among what both engines read alike')}"


def _strange_calls(text: str, dialect: str) -> Iterator[Refusal]:
    """Functions by the name they are called by: sqlglot gives one class to names of which an engine knows only one."""
    from sqlglot.dialects.dialect import Dialect

    tokens = Dialect.get_or_raise(dialect).tokenize(text)
    for token, following in pairwise(tokens):
        name = token.text.lower()
        word = re.fullmatch(r"[a-z_][a-z0-9_]*", name)
        if following.text == "(" and word and name not in FUNCTIONS and name not in _BEFORE_A_BRACKET:
            near = suggestion(name, FUNCTIONS)
            hint = near if "did you mean" in near else _LISTED
            yield "CFG159", f"calls {name}, which is not among the functions a rule may call{hint}"
    names = [token.text.lower() for token in tokens]
    for name in ("datetime", "timestamp_ltz", "timestamp_ntz", "timestamptz"):
        if name in names:
            yield "CFG160", f"says {name}, which one engine does not know; write TIMESTAMP"
    for name in ("current_date", "current_timestamp", "current_user", "localtimestamp", "session_user"):
        if name in names:
            yield "CFG159", f"asks for {name}: a backfill would be judged by another clock or user than today's run"


def _strange_relations(tree: Any) -> Iterator[Refusal]:
    from sqlglot import exp

    known = {cte.alias.lower() for cte in tree.find_all(exp.CTE)} | {_ROWS}
    if _ROWS in {cte.alias.lower() for cte in tree.find_all(exp.CTE)}:
        yield "CFG153", f"names a WITH query {TABLE}; give it another name"
    for table in tree.find_all(exp.Table):
        plain = isinstance(table.this, exp.Identifier) and not table.args.get("db") and not table.args.get("catalog")
        if not plain or table.name.lower() not in known:
            yield "CFG153", f"reads {_shown(table)}; the only relation is {TABLE}, or what WITH made of it"
        elif any(table.args[name] for name in table.args.keys() - {"this", "alias", "joins"}):
            yield "CFG160", f"{_shown(table)} is more than a name"
    if _ROWS not in {table.name.lower() for table in tree.find_all(exp.Table)}:
        yield "CFG153", f"must read from {TABLE}, which stands for the rows under check"


def _not_one_number(tree: Any) -> Iterator[Refusal]:
    """One row and one column for sure: with several, an engine would give any of them."""
    from sqlglot import exp

    item, *more = tree.expressions
    if more or isinstance(item, exp.Star):
        count = len(more) + 1 if more else "all"
        yield "CFG152", f"returns {count} columns; a rule compares one number with its threshold"
    elif any(tree.args.get(clause) for clause in ("group", "having", "distinct")):
        yield "CFG152", "may return several rows; put GROUP BY, HAVING and DISTINCT into a WITH and count its rows"
    elif tree.args.get("from_") and not (_holds(item, exp.AggFunc) and _bound(item)):
        yield "CFG152", "may return a row for every row; write aggregates only, like count(*)"


def _holds(node: Any, kind: type) -> bool:
    """Whether the kind is in the expression, outside of its subqueries."""
    from sqlglot import exp

    if isinstance(node, exp.Subquery | exp.Select):
        return False
    return isinstance(node, kind) or any(_holds(part, kind) for part in node.iter_expressions())


def _bound(node: Any) -> bool:
    """Whether every column of the expression stands in an aggregate or a subquery."""
    from sqlglot import exp

    if isinstance(node, exp.AggFunc | exp.Filter | exp.Subquery | exp.Select):
        return True
    return not isinstance(node, exp.Column) and all(map(_bound, node.iter_expressions()))


def _strange_columns(tree: Any, columns: frozenset[str]) -> Iterator[Refusal]:
    from sqlglot import exp

    made = {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    for name in dict.fromkeys(c.name for c in tree.find_all(exp.Column) if isinstance(c.this, exp.Identifier)):
        if name.lower() not in columns | made:
            yield "CFG144", f"{name!r} is not a column of the rows under check{suggestion(name, columns)}"


def _shown(node: Any) -> str:
    text = node.sql().replace(_ROWS, TABLE)
    return text if len(text) <= 60 else f"{text[:60]} …"
