"""What a contract file may say: the parts of ODCS 3.2 we act on, our own properties, and the parts we leave to others.

Open Data Contract Standard 3.2: https://bitol-io.github.io/open-data-contract-standard/v3.2.0/
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from tenantdags.model.contract import Handling, Mode, Severity
from tenantdags.model.fields import ContractRef, PositiveDuration, SqlName, Strict, refused
from tenantdags.model.thresholds import Bound, CamelBounds

FILE_NAME = re.compile(r"(?P<table>(?!.*__)[a-z][a-z0-9_]{0,30})\.v(?P<major>[1-9]\d{0,3})\.odcs\.yaml")
_COMMON = ("businessName", "deprecated", "synonyms", "authoritativeDefinitions", "tags")


class Odcs(Strict):
    """A mapping of the standard. Keys in `ignored` are valid there and change nothing here."""

    model_config = ConfigDict(alias_generator=to_camel)
    ignored: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _without_ignored(cls, data: Any) -> Any:
        return {k: v for k, v in data.items() if k not in cls.ignored} if isinstance(data, dict) else data


# A misspelt `pii` would leave a column unhashed, so an unknown property is refused unless it names its vendor.
def _kind_of_property(value: Any) -> str | None:
    if isinstance(value, dict):
        return "other" if "vendor" in value else value.get("property")
    return None


class OtherProperty(Odcs):
    """Another tool's property, which names its vendor; not ours to read."""

    ignored = ("id", "description", "value")
    property: str = Field(description="another tool's property")
    vendor: str = Field(description="the tool it belongs to")


class _Ours(Odcs):
    ignored = ("id", "description")


class PiiValue(Odcs):
    category: str = Field(description="What kind of personal data: contact, name, pseudonym …")
    handling: Handling = Field(description="hash, drop or keep")


class PiiProperty(_Ours):
    property: Literal["pii"] = Field(description="personal data")
    value: PiiValue = Field(description="what it is, and what happens to it")


class MeasureValue(Odcs):
    aggregation: tuple[Literal["sum"], ...] = Field(description="[sum]", min_length=1)


class MeasureProperty(_Ours):
    property: Literal["measure"] = Field(description="a number whose sum must survive the load")
    value: MeasureValue = Field(description="how it is aggregated")


class ModeProperty(_Ours):
    property: Literal["mode"] = Field(description="what a window is")
    value: Mode = Field(description="event: the rows of the window; snapshot: the whole table")


class Through(Strict):
    contract: ContractRef = Field(description="the parent's contract, like orders@1")
    on: tuple[str, ...] = Field(description="the columns that join child and parent, like [order_id]", min_length=1)


class WindowValue(Strict):
    column: str | None = Field(None, description="the column whose time decides the window")
    through: Through | None = Field(None, description="the parent whose column that is")
    changed: str | None = Field(None, description="the column that moves when a row changes")
    allow_empty: bool = Field(False, description="whether a window without rows is legal")
    observe_within: PositiveDuration | None = Field(
        None, description="snapshots: how long after its end a window may be read"
    )


class WindowProperty(_Ours):
    property: Literal["window"] = Field(description="how rows find their window")
    value: WindowValue = Field(description="the column, or the parent that has it")


class EvolutionValue(Odcs):
    additive: Literal["allow", "stop"] = Field(description="allow or stop: what a new source column does to a run")
    breaking: Literal["stop"] = Field(description="stop: a missing or retyped column always stops a run")


class EvolutionProperty(_Ours):
    property: Literal["schemaEvolution"] = Field(description="how the table may change at the source")
    value: EvolutionValue = Field(description="additive and breaking")


class Right(Odcs):
    scope: Literal["tenant", "group", "all"] = Field(description="tenant, group or all")
    exclude: tuple[str, ...] = Field((), description="columns that are left out")


class RightsProperty(_Ours):
    property: Literal["aggregationRights"] = Field(description="who may aggregate the table")
    value: tuple[Right, ...] = Field(description="by scope")


class RunbookProperty(_Ours):
    property: Literal["runbook"] = Field(description="what on-call reads")
    value: str = Field(description="the page, from the project's folder")


ColumnProperty = Annotated[
    Annotated[PiiProperty, Tag("pii")]
    | Annotated[MeasureProperty, Tag("measure")]
    | Annotated[OtherProperty, Tag("other")],
    Discriminator(_kind_of_property),
]
TableProperty = Annotated[
    Annotated[ModeProperty, Tag("mode")]
    | Annotated[WindowProperty, Tag("window")]
    | Annotated[EvolutionProperty, Tag("schemaEvolution")]
    | Annotated[RightsProperty, Tag("aggregationRights")]
    | Annotated[OtherProperty, Tag("other")],
    Discriminator(_kind_of_property),
]
RootProperty = Annotated[
    Annotated[RunbookProperty, Tag("runbook")] | Annotated[OtherProperty, Tag("other")],
    Discriminator(_kind_of_property),
]


class EnumEntry(Odcs):
    ignored = ("id", "label", "description", "tags", "customProperties", "authoritativeDefinitions")
    value: Any = Field(description="the allowed value")


class TypeOptions(Odcs):
    """What else a value must be. Only what the gates check; a rule nobody checks would be a lie."""

    ignored = ("timezone", "defaultTimezone")
    pattern: str | None = Field(None, description="a regular expression for the whole value")
    minimum: Any = Field(None, description="the smallest legal number")
    maximum: Any = Field(None, description="the largest legal number")
    min_length: int | None = Field(None, description="the fewest characters")
    max_length: int | None = Field(None, description="the most characters")
    format: str | None = Field(None, description="not checked by any gate; write a pattern")


class Custom(Odcs):
    """The implementation of `engine: tenantdags`: what the standard's own metrics cannot say."""

    metric: Literal["sum", "volumeBand", "freshness"] = Field(
        description="sum: exact sums of source and load agree; volumeBand: rows as on this weekday before; "
        "freshness: how old the newest value is at the window's end"
    )
    column: str | None = Field(None, description="sum, freshness: the column")
    by: tuple[str, ...] = Field((), description="sum: the columns to group by")
    weeks: int | None = Field(None, description="volumeBand: how many windows of the same weekday make the band (8)")
    at_least: int | None = Field(None, description="volumeBand: with fewer of them there is no band yet (4)")
    width: Bound | None = Field(None, description="volumeBand: how many spreads from the median are normal (4)")
    at_most: Bound | None = Field(None, description="freshness: how old the newest value may be")
    unit: Literal["minute", "hour", "day"] | None = Field(None, description="freshness: minute, hour (unsaid) or day")


class SeverityProperty(_Ours):
    property: Literal["severity"] = Field(description="what a broken promise does")
    value: Severity = Field(description="error closes the gate, warning only tells")


PromiseProperty = Annotated[
    Annotated[SeverityProperty, Tag("severity")] | Annotated[OtherProperty, Tag("other")],
    Discriminator(_kind_of_property),
]


def _one_or_many(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, tuple) else (value,)
    if not listed or not all(isinstance(one, str) for one in listed):
        raise refused("CFG133", "must name a column, or list the columns of a key")
    return listed


_ONE = {"type": "string"}
References = Annotated[
    tuple[str, ...],
    BeforeValidator(_one_or_many),
    WithJsonSchema({"anyOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1}]}),
]


class ColumnRelationship(Odcs):
    """A foreign key of one column. https://bitol-io.github.io/open-data-contract-standard/v3.2.0/references/"""

    id: str | None = Field(None, description="the rule's id; <columns>_reference when it is not said")
    type: Literal["foreignKey"] = Field("foreignKey", description="foreignKey")
    to: References = Field(
        description="the key it names, like orders.v1.odcs.yaml#/schema/orders/properties/order_id",
    )
    custom_properties: tuple[PromiseProperty, ...] = Field(
        (), description="our property severity, and those of other tools"
    )


class TableRelationship(ColumnRelationship):
    """A foreign key of the table, of one column or several."""

    from_: References = Field(alias="from", description="the columns of this table, like order_lines.order_id")


class Quality(CamelBounds, Odcs):
    """One rule. Its id is how tenants and reports name it."""

    ignored = (
        "authoritativeDefinitions", "businessImpact", "customProperties", "description", "method", "schedule",
        "scheduler", "tags",
    )  # fmt: skip
    id: str | None = Field(None, description="the rule's id, by which tenants and reports name it")
    name: str | None = Field(None, description="the rule in words")
    type: Literal["library", "sql", "custom", "text"] = Field(
        "library", description="library: a metric; sql: a query; custom: one of ours; text: prose"
    )
    metric: Literal["nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"] | None = Field(
        None, description="the number to compare"
    )
    arguments: dict[str, Any] | None = Field(None, description="what the metric needs")
    unit: Literal["rows", "percent"] = Field("rows", description="rows, or percent of them")
    dimension: str | None = Field(
        None, description="accuracy, completeness, conformity, consistency, coverage, timeliness or uniqueness"
    )
    severity: Severity | None = Field(
        None, description="error (as unsaid, but for volumeBand) closes the gate, warning only tells"
    )
    query: str | None = Field(None, description="one SELECT from ${table} that returns one number")
    engine: Literal["tenantdags"] | None = Field(None, description="tenantdags, for custom rules")
    implementation: Custom | None = Field(None, description="what the custom rule measures")

    @model_validator(mode="after")
    def _one_bound(self) -> Quality:
        self.one_bound_at_most()
        return self


class Property(Odcs):
    """One column."""

    ignored = (
        *_COMMON, "semanticType", "partitioned", "partitionKeyPosition", "encryptedName",
        "transformSourceObjects", "transformLogic", "transformDescription", "examples", "criticalDataElement",
    )  # fmt: skip
    id: str | None = Field(None, description="the column's stable id, by which other contracts refer to it")
    name: str = Field(description="the column's name in curated tables")
    physical_name: SqlName | None = Field(None, description="the column's name at the source, when it is another")
    physical_type: str = Field(description="the SQL Server type, like decimal(18,2)")
    logical_type: Literal["string", "date", "timestamp", "time", "number", "integer", "boolean"] = Field(
        description="the standard's type: string, date, timestamp, time, number, integer or boolean"
    )
    logical_type_options: TypeOptions | None = Field(None, description="what else a value must be")
    description: str | None = Field(None, description="what the column says")
    required: bool = Field(False, description="whether it must not be NULL")
    unique: bool = Field(False, description="whether no value may repeat within a window")
    primary_key: bool = Field(False, description="whether it is part of the key")
    primary_key_position: int | None = Field(None, description="its place in the key, from 1")
    classification: str | None = Field(None, description="who may see it, like restricted")
    enum: tuple[EnumEntry, ...] | None = Field(None, description="the values it may have")
    custom_properties: tuple[ColumnProperty, ...] = Field(
        (), description="our properties pii and measure, and those of other tools"
    )
    quality: tuple[Quality, ...] = Field((), description="rules about this column")
    relationships: tuple[ColumnRelationship, ...] = Field((), description="the keys this column refers to")


class SchemaObject(Odcs):
    """The table."""

    ignored = (*_COMMON, "logicalType", "description", "context")
    id: str | None = Field(None, description="the table's stable id, by which other contracts refer to it")
    name: str = Field(description="the table's name, as in the file's name")
    physical_name: SqlName = Field(description="the source table's name")
    physical_type: Literal["table", "view"] = Field("table", description="what it is at the source")
    data_granularity_description: str = Field(description="what one row is")
    properties: tuple[Property, ...] = Field(description="the columns", min_length=1)
    quality: tuple[Quality, ...] = Field((), description="rules about the table")
    relationships: tuple[TableRelationship, ...] = Field((), description="the keys that rows of the table refer to")
    custom_properties: tuple[TableProperty, ...] = Field(description="at least mode and, for events, window")


class _Open(BaseModel):
    """A mapping of the standard, of which only our own properties are said here."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow", title=None)


class PromiseProperties(_Open):
    custom_properties: tuple[PromiseProperty, ...] = Field((), description="our property severity")


class ColumnProperties(_Open):
    custom_properties: tuple[ColumnProperty, ...] = Field((), description="our properties pii and measure")
    relationships: tuple[PromiseProperties, ...] = Field((), description="foreign keys of the column")


class TableProperties(_Open):
    custom_properties: tuple[TableProperty, ...] = Field(
        description="our properties mode, window, schemaEvolution and aggregationRights"
    )
    properties: tuple[ColumnProperties, ...] = Field(description="the columns")
    relationships: tuple[PromiseProperties, ...] = Field((), description="foreign keys of the table")


class ContractProperties(_Open):
    """Our properties alone, wherever a contract of the standard has a place for them."""

    custom_properties: tuple[RootProperty, ...] = Field((), description="our property runbook")
    schema_: tuple[TableProperties, ...] = Field(alias="schema", description="the table")
    sla_properties: tuple[PromiseProperties, ...] = Field((), description="promises: retention and freshness")


class Description(Odcs):
    ignored = ("usage", "limitations", "authoritativeDefinitions", "customProperties")
    purpose: str = Field(description="what the table is for, in one sentence")


class Member(Odcs):
    ignored = (
        "id", "name", "description", "dateIn", "dateOut", "replacedByUsername", "tags", "customProperties",
        "authoritativeDefinitions",
    )  # fmt: skip
    username: str = Field(description="who it is")
    role: str | None = Field(None, description="owner marks who answers for the table")


class Team(Odcs):
    ignored = ("id", "description", "tags", "customProperties", "authoritativeDefinitions")
    name: str | None = Field(None, description="the team's name")
    members: tuple[Member, ...] = Field((), description="its people")


class SlaProperty(Odcs):
    ignored = ("valueExt", "driver", "scheduler", "schedule", "authoritativeDefinitions")
    id: str | None = Field(None, description="freshness: the rule's id; freshness when it is not said")
    property: str = Field(description="the promise: retention or freshness")
    value: Any = Field(description="its value")
    unit: str | None = Field(None, description="retention: d or y; freshness: min, h or d")
    element: str | None = Field(None, description="freshness: the column, like orders.updated_at")
    description: str | None = Field(None, description="the promise in words")
    custom_properties: tuple[PromiseProperty, ...] = Field(
        (), description="our property severity, and those of other tools, whose vendor then keeps the promise"
    )


class ContractFile(Odcs):
    """One file of include/contracts: one major version of one table."""

    ignored = (
        "tenant", "tags", "servers", "dataProduct", "domain", "support", "price", "roles", "slaDefaultElement",
        "authoritativeDefinitions", "context", "contractCreatedTs",
    )  # fmt: skip
    api_version: Literal["v3.2.0"] = Field(description="v3.2.0")
    kind: Literal["DataContract"] = Field(description="DataContract")
    id: str = Field(description="the contract's id")
    name: str = Field(description="the name people know")
    version: str = Field(description="major.minor.patch")
    status: Literal["proposed", "draft", "active", "deprecated", "retired"] = Field(description="active")
    description: Description = Field(description="its purpose")
    schema_: tuple[SchemaObject, ...] = Field(alias="schema", description="the one table")
    sla_properties: tuple[SlaProperty, ...] = Field((), description="promises of the table: retention, freshness")
    team: Team | None = Field(None, description="who owns the contract: the member with role owner, or its name")
    custom_properties: tuple[RootProperty, ...] = Field(
        (), description="our property runbook, and those of other tools"
    )

    @model_validator(mode="after")
    def _one_table(self) -> ContractFile:
        if len(self.schema_) != 1:
            raise refused("CFG104", "schema must hold exactly one table; write one file per table")
        return self
