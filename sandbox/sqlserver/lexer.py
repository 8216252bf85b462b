"""The words of a batch: what is no T-SQL is refused here, before a lenient parser could make sense of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlglot.dialects.tsql import TSQL
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from sandbox.sqlserver import sqltypes
from sandbox.sqlserver.arguments import ARITY, check_call
from sandbox.sqlserver.errors import SqlError, syntax, unknown_function, unserved
from sandbox.sqlserver.words import word_set

SYMBOLS: Final = frozenset(
    {",", "(", ")", ".", "=", "<>", "!=", ">", ">=", "<", "<=", "+", "-", "*", "/", "%", ";", "@"}
)
LITERALS: Final = frozenset(
    {TokenType.STRING, TokenType.NATIONAL_STRING, TokenType.NUMBER, TokenType.HEX_STRING, TokenType.IDENTIFIER}
)
# Words that the parser gives a meaning T-SQL does not know; as names they would need brackets.
FOREIGN: Final = word_set(
    """ANTI ARRAY ASOF DIV ESCAPE FALSE FILTER FINAL GLOB ILIKE INTERVAL LATERAL LIMIT MAP MATCH_RECOGNIZE NATURAL
    NULLS OVERLAPS POSITIONAL PREWHERE QUALIFY REGEXP RLIKE SAMPLE SEMI SIMILAR STRUCT TRUE UNNEST USING WINDOW
    WITHIN XOR"""
)
# https://learn.microsoft.com/sql/t-sql/language-elements/reserved-keywords-transact-sql, those that are not served.
UNSERVED: Final = word_set(
    """ADD ANY AUTHORIZATION BACKUP BREAK BROWSE BULK CASCADE CHECK CHECKPOINT CLOSE CLUSTERED COLUMN COMPUTE
    CONSTRAINT CONTAINS CONTAINSTABLE CONTINUE CURRENT CURRENT_DATE CURRENT_TIME CURRENT_USER CURSOR DATABASE DBCC
    DEALLOCATE DECLARE DEFAULT DENY DISK DISTRIBUTED DOUBLE DUMP ERRLVL EXCEPT EXEC EXECUTE EXIT EXTERNAL FILE
    FILLFACTOR FOR FOREIGN FREETEXT FREETEXTTABLE FULL FUNCTION GOTO HOLDLOCK IDENTITY IDENTITYCOL IDENTITY_INSERT
    INDEX INTERSECT INTO KEY KILL LINENO LOAD NATIONAL NOCHECK NONCLUSTERED OF OFF OFFSETS OPEN OPENDATASOURCE
    OPENQUERY OPENROWSET OPENXML OVER PERCENT PIVOT PLAN PRECISION PRIMARY PRINT PROC PROCEDURE PUBLIC RAISERROR
    READ READTEXT RECONFIGURE REFERENCES REPLICATION RESTORE RESTRICT RETURN REVERT REVOKE RIGHT ROWCOUNT
    ROWGUIDCOL RULE SAVE SCHEMA SEMANTICKEYPHRASETABLE SEMANTICSIMILARITYTABLE SESSION_USER SETUSER SHUTDOWN SOME
    STATISTICS SYSTEM_USER TABLE TABLESAMPLE TEXTSIZE TO TRIGGER TRY_CONVERT TSEQUAL UNIQUE UNPIVOT UPDATETEXT
    USER VALUES VARYING VIEW WAITFOR WHILE WRITETEXT"""
) - {"TRY_CONVERT", "RIGHT"}
FUNCTIONS: Final = ARITY.keys() | {"CAST", "TRY_CAST"}
BEFORE_PAREN: Final = word_set(
    """ALL AND AS BETWEEN BY CASE DISTINCT ELSE EXISTS FROM HAVING IF IN JOIN LIKE NOT ON OPTION OR SELECT THEN TOP
    UNION WHEN WHERE WITH"""
)
WRITES: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE"})
TEXTS: Final = frozenset({TokenType.STRING, TokenType.NATIONAL_STRING})
DEFINITIONS: Final = frozenset({"CREATE", "ALTER", "DROP", "GRANT"})


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a batch: its tokens and its text."""

    tokens: tuple[Token, ...]
    text: str

    def words(self) -> list[str]:
        return [token.text.upper() for token in self.tokens]


def is_word(token: Token) -> bool:
    """An unquoted keyword or name."""
    return token.token_type not in LITERALS and (token.text[:1].isalpha() or token.text[:1] == "_")


def tokens(batch: str) -> list[Token]:
    try:
        return list(TSQL().tokenize(batch))
    except TokenError as error:
        raise SqlError(105, "Unclosed quotation mark after the character string.", severity=15) from error


def check(words: tuple[Token, ...]) -> None:
    """Refuse what T-SQL does not have or this stand-in does not serve."""
    for place, token in enumerate(words):
        following = words[place + 1].text if place + 1 < len(words) else ""
        if token.token_type in LITERALS:
            if token.token_type == TokenType.IDENTIFIER and following == "(":
                raise unknown_function(token.text)
        elif is_word(token):
            _check_word(words, place, following)
        elif token.text == "#":
            raise SqlError(208, f"Invalid object name '#{following}'.")
        elif token.text not in SYMBOLS or (token.text == "," and following in {"", ",", ")"}):
            raise syntax(token.text)


def _check_word(words: tuple[Token, ...], place: int, following: str) -> None:
    word = words[place].text.upper()
    if place and words[place - 1].text in {"@", "."} and following != "(":
        return
    if word in FOREIGN:
        raise syntax(words[place].text)
    if word in UNSERVED:
        raise unserved(f"The keyword {word}")
    if place and words[place - 1].text == "." and following == "(":
        name = f"{words[place - 2].text}.{words[place].text}"
        text = f'Cannot find either column "{words[place - 2].text}" or the user-defined function or aggregate "{name}"'
        raise SqlError(4121, f"{text}, or the name is ambiguous.")
    if following == "(" and not (word in FUNCTIONS or word in BEFORE_PAREN or _may_precede_paren(words, place)):
        raise unknown_function(words[place].text)
    if following == "(" and word in FUNCTIONS and not _names_a_column(words, place):
        check_call(words, place)
    _check_neighbours(words, place)


# What may stand before a text, a comma or the end of a list only as the beginning of something.
OPENING: Final = word_set("SELECT DISTINCT WHERE AND OR NOT ON BY HAVING WHEN THEN ELSE FROM JOIN BETWEEN LIKE IN TOP")
BEFORE_TEXT: Final = OPENING | word_set("ALL AS CASE IS ZONE")


def _check_neighbours(words: tuple[Token, ...], place: int) -> None:
    """Forms that the parser forgives: `a NOT NULL`, `a ISNULL`, `DATE '…'`, and commas with nothing beside them."""
    word, before = words[place].text.upper(), words[place - 1].text.upper() if place else ""
    following = words[place + 1] if place + 1 < len(words) else None
    if word == "NULL" and before == "NOT" and words[place - 2].text.upper() != "IS":
        raise syntax(words[place].text)
    if word == "ISNULL" and (following is None or following.text != "("):
        raise syntax(words[place].text)
    if following is None:
        return
    if following.token_type in TEXTS and word not in BEFORE_TEXT:
        raise syntax(following.text)
    if (word in OPENING and following.text in {",", ")"}) or (word == "FROM" and before in {",", "SELECT"}):
        raise syntax(following.text)


def _names_a_column(words: tuple[Token, ...], place: int) -> bool:
    return place > 0 and words[place - 1].text == "."


def _may_precede_paren(words: tuple[Token, ...], place: int) -> bool:
    """A type with its length, the INTO-less name of a derived table's columns, a table before its hints."""
    name = words[place].text.lower()
    known = name in sqltypes.NAMES or name in sqltypes.SYNONYMS
    return known and place > 0 and words[place - 1].text.upper() in {"AS", "("}


def statements(batch: str) -> Iterator[Statement]:
    """The batch's statements; semicolons are optional between them, as in T-SQL."""
    words = tokens(batch)
    start = 0
    while start < len(words):
        if words[start].text == ";":
            start += 1
            continue
        end = _end(words, start)
        chosen = tuple(words[start:end])
        yield Statement(chosen, batch[chosen[0].start : chosen[-1].end + 1])
        start = end


_STARTERS: Final = (
    word_set("SET BEGIN COMMIT ROLLBACK USE IF DECLARE EXEC EXECUTE PRINT SAVE WAITFOR") | WRITES | DEFINITIONS
)
_CONTINUES_WITH_SELECT: Final = frozenset({"UNION", "ALL", "EXCEPT", "INTERSECT", ")"})


def _end(words: list[Token], start: int) -> int:
    """Where the statement that begins at start ends."""
    depth, inside_if = 0, words[start].text.upper() == "IF"
    is_cte = words[start].text.upper() == "WITH"
    for place in range(start, len(words)):
        word = words[place].text.upper()
        plain = words[place].token_type not in LITERALS
        depth += (word == "(") - (word == ")") if plain else 0
        if depth or place == start or not plain:
            continue
        if word == ";":
            return place
        if inside_if and word in _STARTERS:
            inside_if = False
            continue
        begins_select = word == "SELECT" and words[place - 1].text.upper() not in _CONTINUES_WITH_SELECT and not is_cte
        if (word in _STARTERS and not inside_if and words[place - 1].text != ".") or begins_select:
            return place
    return len(words)
