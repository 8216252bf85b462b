"""Puts the named parameters of a statement into its text as typed literals."""

from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.databricks import Databricks as Dialect
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from sandbox.databricks.errors import SqlError

# https://docs.databricks.com/api/workspace/statementexecution/executestatement (parameters.type)
TYPES = {
    "STRING", "BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMP_NTZ", "INT", "INTEGER", "BIGINT", "LONG", "SMALLINT", "SHORT",
    "TINYINT", "BYTE", "FLOAT", "DOUBLE", "DECIMAL", "BINARY",
}  # fmt: skip
CLOSERS = {TokenType.VAR, TokenType.IDENTIFIER, TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.STRING}


def literal(parameter: dict[str, Any]) -> str:
    """The parameter as SQL: a NULL or a string literal, cast to its declared type (STRING when none is declared)."""
    kind = str(parameter.get("type") or "STRING").upper()
    if kind.partition("(")[0] not in TYPES:
        raise SqlError("UNSUPPORTED_DATATYPE", f"Unsupported data type {kind} of parameter {parameter['name']}.")
    value = parameter.get("value")
    if value is None:
        return f"CAST(NULL AS {kind})"
    if not isinstance(value, str):
        raise SqlError("INVALID_PARAMETER_VALUE", f"The value of parameter {parameter['name']} must be a string.")
    text = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return text if kind == "STRING" else f"CAST({text} AS {kind})"


def bind(sql: str, statement: exp.Expression, parameters: list[dict[str, Any]]) -> str:
    """The statement's text with every `:name` replaced; the rest of the text stays as it was written."""
    values = {parameter["name"]: literal(parameter) for parameter in parameters}
    markers = _markers(sql)
    missing = sorted({name for _, _, name in markers} - set(values))
    if missing:
        raise SqlError("UNBOUND_SQL_PARAMETER", f"Found the unbound parameter: {', '.join(missing)}.")
    if len(markers) != len(list(statement.find_all(exp.Placeholder))):
        raise SqlError("PARSE_SYNTAX_ERROR", "The stand-in does not understand every `:` of this statement.")
    for start, end, name in reversed(markers):
        sql = f"{sql[:start]}{values[name]}{sql[end:]}"
    return sql


def parse(sql: str) -> exp.Expression:
    """The one statement in sql; raises SqlError where it is none, several, or not Databricks SQL."""
    try:
        statements = [each for each in sqlglot.parse(sql, dialect="databricks") if each is not None]
    except (ParseError, TokenError) as error:
        raise SqlError("PARSE_SYNTAX_ERROR", f"Syntax error: {str(error).splitlines()[0]}") from error
    if len(statements) != 1:
        raise SqlError("PARSE_SYNTAX_ERROR", f"Syntax error: {len(statements)} statements where one is expected.")
    (statement,) = statements
    assert isinstance(statement, exp.Expression)
    return statement


def _markers(sql: str) -> list[tuple[int, int, str]]:
    """(start, end, name) of every parameter marker: a colon that touches a name and follows no value."""
    tokens = Dialect().tokenize(sql)
    markers = []
    for before, colon, name in zip([None, *tokens], tokens, tokens[1:], strict=False):
        if colon.token_type is TokenType.COLON and name.start == colon.end + 1 and not _ends_value(before, colon):
            markers.append((colon.start, name.end + 1, name.text))
    return markers


def _ends_value(before: Token | None, colon: Token) -> bool:
    return before is not None and before.token_type in CLOSERS and before.end + 1 == colon.start
