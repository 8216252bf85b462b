"""The system procedures that drivers call: their statements, declared parameters and handles."""

import re
import struct
from dataclasses import dataclass, field
from typing import Final

from sandbox.sqlserver import errors, sqltypes
from sandbox.sqlserver.conversion import Typed, convert, literal
from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.parameters import Call, Parameter
from sandbox.sqlserver.sqltypes import INT, SqlType, type_info

NEEDED: Final = {"sp_executesql": 1, "sp_prepare": 3, "sp_prepexec": 3, "sp_execute": 1, "sp_unprepare": 1}
# How ODBC declares long values; as types of columns they are obsolete and not served.
LONG: Final = {"ntext": "nvarchar(max)", "text": "varchar(max)", "image": "varbinary(max)"}
TYPE_INFO: Final = "sys.sp_datatype_info_100"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement and its parameters' types by name."""

    text: str
    declared: dict[str, SqlType]


@dataclass(frozen=True, slots=True)
class Execution:
    """What a call comes down to: a statement to run with values, or none, and the tokens that it returns."""

    text: str | None = None
    values: dict[str, Typed] = field(default_factory=dict)
    returned: bytes = b""


class Procedures:
    """A session's prepared statements."""

    def __init__(self) -> None:
        self._prepared: dict[int, Prepared] = {}
        self._last = 0

    def resolve(self, call: Call) -> Execution:
        """sp_executesql, sp_prepare, sp_prepexec, sp_execute or sp_unprepare; 2812 for any other."""
        given = call.parameters
        if len(given) < NEEDED.get(call.procedure, 0):
            raise SqlError(201, f"Procedure '{call.procedure}' expects a parameter which was not supplied.", state=4)
        if call.procedure == "sp_executesql":
            found = _prepared(given[0], given[1] if len(given) > 1 else None)
            return Execution(found.text, _bound(found.declared, given[2:]))
        if call.procedure in {"sp_prepare", "sp_prepexec"}:
            return self._prepare(call.procedure == "sp_prepexec", given)
        if call.procedure == "sp_execute":
            found = self._find(given[0].value)
            return Execution(found.text, _bound(found.declared, given[1:]))
        if call.procedure == "sp_unprepare":
            self._prepared.pop(int(str(given[0].value)), None)
            return Execution()
        raise SqlError(2812, f"Could not find stored procedure '{call.procedure}'.", state=62)

    def _prepare(self, execute: bool, given: tuple[Parameter, ...]) -> Execution:
        found = _prepared(given[2], given[1])
        self._last += 1
        self._prepared[self._last] = found
        handle = _returned(given[0].name, self._last)
        if not execute:
            return Execution(returned=handle)
        return Execution(found.text, _bound(found.declared, given[3:]), handle)

    def _find(self, handle: object) -> Prepared:
        found = self._prepared.get(int(str(handle))) if handle is not None else None
        if found is None:
            raise SqlError(8179, f"Could not find prepared statement with handle {handle}.", state=2)
        return found


def _prepared(statement: Parameter, declaration: Parameter | None) -> Prepared:
    if not isinstance(statement.value, str):
        raise SqlError(214, "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.")
    return Prepared(statement.value, _declared(declaration.value if declaration else None))


_DECLARED: Final = re.compile(r"@(\w+)\s+(?:AS\s+)?([a-z_0-9]+\s*(?:\([^)]*\))?)\s*(OUTPUT|OUT)?", re.IGNORECASE)


def _declared(text: object) -> dict[str, SqlType]:
    """'@P1 int, @P2 nvarchar(4000)' as types by name."""
    found: dict[str, SqlType] = {}
    for name, kind, output in _DECLARED.findall(str(text or "")):
        if output:
            raise errors.unserved("an output parameter of a statement")
        try:
            found[name.lower()] = sqltypes.parse(LONG.get(kind.lower(), kind))
        except ValueError as error:
            raise SqlError(2715, f"Parameter '@{name}' has an invalid data type.") from error
    return found


def _bound(declared: dict[str, SqlType], given: tuple[Parameter, ...]) -> dict[str, Typed]:
    """The values by parameter name, each in its declared type."""
    if len(given) != len(declared):
        raise SqlError(8178, "The parameterized query expects another number of parameters than was supplied.")
    bound = {}
    for position, parameter in zip(declared, given, strict=True):
        name = parameter.name or position
        if name not in declared:
            raise SqlError(8145, f"@{name} is not a parameter for the statement.")
        value, kind = literal(parameter.kind, parameter.value), declared[name]
        bound[name] = value if parameter.kind == kind else convert(value, kind)
    return bound


def _returned(name: str, handle: int) -> bytes:
    """A RETURNVALUE token with the handle of a prepared statement."""
    label = f"@{name}".encode("utf-16-le") if name else b""
    head = struct.pack("<BHB", 0xAC, 0, len(label) // 2) + label
    return head + struct.pack("<BIH", 1, 0, 0) + type_info(INT) + struct.pack("<Bi", 4, handle)
