"""What a query may name: its tables, their columns, and the world of the session that asks."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.sqlserver.catalogue import Catalogue, Table, identifier
from sandbox.sqlserver.conversion import Typed
from sandbox.sqlserver.errors import SqlError, unknown_column, unserved


@dataclass(slots=True)
class Context:
    """The session a statement is compiled for. touched collects the tables it reads."""

    catalogue: Catalogue
    database: str
    session: int
    login: str
    transactions: int
    parameters: dict[str, Typed]
    now_ticks: int
    may_open: Callable[[str], bool]
    touched: list[Table] = field(default_factory=list)


@dataclass(slots=True)
class Source:
    """One entry of FROM under its alias; columns by their shown names, in order."""

    alias: str
    columns: dict[str, Typed]
    masked: frozenset[str] = frozenset()  # which this login would be shown masks of

    def find(self, name: str) -> Typed | None:
        if name.lower() in self.masked:
            raise unserved("a masked column, for a login without UNMASK,")
        return next((value for known, value in self.columns.items() if known.lower() == name.lower()), None)


@dataclass(slots=True)
class Scope:
    """Names visible in one SELECT, and what GROUP BY left of them."""

    parent: "Scope | None" = None
    sources: list[Source] = field(default_factory=list)
    ctes: dict[str, Source] = field(default_factory=dict)
    groups: dict[str, Typed] | None = None
    aggregating: bool = False

    def add(self, source: Source) -> None:
        if any(known.alias.lower() == source.alias.lower() for known in self.sources):
            text = f"The objects with the name '{source.alias}' in the FROM clause have the same exposed names."
            raise SqlError(1013, f"{text} Use correlation names to distinguish them.")
        self.sources.append(source)

    def cte(self, name: str) -> Source | None:
        found = self.ctes.get(name.lower())
        return found if found or self.parent is None else self.parent.cte(name)

    def column(self, name: str, table: str) -> tuple[Typed, bool]:
        """The column and whether it is this SELECT's own (else an outer one's); 207, 209 or 4104."""
        found = self._own(name, table)
        if found is not None:
            return found, True
        if self.parent is not None:
            return self.parent.column(name, table)[0], False
        if table:
            raise SqlError(4104, f'The multi-part identifier "{table}.{name}" could not be bound.')
        raise unknown_column(name)

    def _own(self, name: str, table: str) -> Typed | None:
        places = [source for source in self.sources if not table or source.alias.lower() == table.lower()]
        found = [value for source in places if (value := source.find(name)) is not None]
        if len(found) > 1:
            raise SqlError(209, f"Ambiguous column name '{name}'.")
        if not found and table and places:
            raise unknown_column(name)
        return found[0] if found else None


def table_source(table: Table, alias: str, login: str) -> Source:
    prefix = identifier(alias)
    columns = {
        column.name: Typed(f"{prefix}.{identifier(column.name)}", column.kind, column.nullable, column.name)
        for column in table.columns
    }
    hidden = () if table.unmasks(login) else (c.name.lower() for c in table.columns if c.traits.masked)
    return Source(alias, columns, frozenset(hidden))
