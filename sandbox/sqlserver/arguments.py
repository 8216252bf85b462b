"""How many arguments a function takes and what a type looks like: the parser would let other dialects' forms pass."""

from typing import Final

from sqlglot.tokenizer_core import Token, TokenType

from sandbox.sqlserver import sqltypes
from sandbox.sqlserver.errors import SqlError, syntax

MANY: Final = 254
# Least and most arguments of every served function; CAST and TRY_CAST have their own grammar.
ARITY: Final = {
    "ABS": (1, 1), "COALESCE": (2, MANY), "CONCAT": (2, MANY), "CONVERT": (2, 3), "COUNT": (1, 1),
    "COUNT_BIG": (1, 1), "DATALENGTH": (1, 1), "DATEADD": (3, 3), "DATEDIFF": (3, 3), "DAY": (1, 1), "DB_ID": (0, 1),
    "DB_NAME": (0, 1), "GETDATE": (0, 0), "GETUTCDATE": (0, 0), "HAS_DBACCESS": (1, 1), "HAS_PERMS_BY_NAME": (3, 5),
    "IIF": (3, 3), "QUOTENAME": (1, 2),
    "ISNULL": (2, 2), "LEFT": (2, 2), "LEN": (1, 1), "LOWER": (1, 1), "LTRIM": (1, 1), "MAX": (1, 1), "MIN": (1, 1),
    "MONTH": (1, 1), "NULLIF": (2, 2), "OBJECT_ID": (1, 2), "OBJECT_NAME": (1, 2), "RIGHT": (2, 2), "RTRIM": (1, 1),
    "SCHEMA_ID": (0, 1), "SCHEMA_NAME": (0, 1), "SERVERPROPERTY": (1, 1), "SUBSTRING": (3, 3), "SUM": (1, 1),
    "SUSER_SNAME": (0, 1), "SYSDATETIMEOFFSET": (0, 0), "SYSUTCDATETIME": (0, 0), "TRIM": (1, 1),
    "TRY_CONVERT": (2, 3), "TYPE_NAME": (1, 1), "UPPER": (1, 1), "YEAR": (1, 1),
}  # fmt: skip
TYPES: Final = (sqltypes.NAMES | {"integer", "dec", "sysname"}) - {"rowversion"}


def check_call(words: tuple[Token, ...], place: int) -> None:
    """The call whose name stands at place and whose parenthesis opens behind it: 174, 243 or 102."""
    name = words[place].text.upper()
    parts = _parts(words, place + 1)
    if name in {"CAST", "TRY_CAST"}:
        _check_cast(words[place], parts)
        return
    least, most = ARITY[name]
    if not least <= len(parts) <= most or ([] in parts):
        wanted = str(least) if least == most else f"{least} to {most}"
        raise SqlError(174, f"The {name.lower()} function requires {wanted} argument(s).", severity=15)
    if name in {"CONVERT", "TRY_CONVERT"}:
        _check_type(parts[0])


def _parts(words: tuple[Token, ...], opened: int) -> list[list[Token]]:
    """The arguments between the parenthesis at opened and its partner; none for an empty pair."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in words[opened:]:
        symbol = token.text if token.token_type in {TokenType.L_PAREN, TokenType.R_PAREN, TokenType.COMMA} else ""
        depth += (symbol == "(") - (symbol == ")")
        if depth == 0:
            return parts if parts != [[]] else []
        if symbol == "," and depth == 1:
            parts.append([])
        elif not (symbol == "(" and depth == 1 and parts == [[]]):
            parts[-1].append(token)
    raise syntax("(")


def _check_cast(name: Token, parts: list[list[Token]]) -> None:
    """`expression AS type`; the type's own comma does not part arguments."""
    if len(parts) != 1:
        raise syntax(name.text)
    depth, found = 0, None
    for place, token in enumerate(parts[0]):
        depth += (token.token_type == TokenType.L_PAREN) - (token.token_type == TokenType.R_PAREN)
        if depth == 0 and token.token_type == TokenType.ALIAS:
            found = place
    if not found:
        raise syntax(name.text)
    _check_type(parts[0][found + 1 :])


def _check_type(tokens: list[Token]) -> None:
    """name, name(n), name(max) or name(p, s)."""
    text = "".join(token.text for token in tokens[1:])
    if not tokens or tokens[0].token_type == TokenType.STRING:
        raise syntax(")")
    if tokens[0].text.lower() not in TYPES:
        raise SqlError(243, f"Type {tokens[0].text} is not a defined system type.")
    if sqltypes.DECLARATION.fullmatch(f"{tokens[0].text}{text}") is None:
        raise syntax(tokens[1].text)
