"""What no tenant file can tell by itself: two tenants that would share ids, rows or a connection they must not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenantdags.model.document import Document
from tenantdags.model.errors import Problem
from tenantdags.model.fields import suggestion
from tenantdags.model.tenant import Groups, Tenant

Said = tuple[Document, Tenant]
Scope = tuple[str, ...]


def between_tenants(said: Sequence[Said]) -> Iterator[Problem]:
    """Each problem stands in the later file and names the earlier tenant."""
    yield from _taken_ids(said)
    yield from _shared_rows(said)
    yield from _shared_connections(said)


def unknown_groups(said: Sequence[Said], groups: Groups) -> Iterator[Problem]:
    for document, tenant in said:
        if tenant.group not in groups.groups:
            hint = suggestion(tenant.group, groups.groups)
            yield document.problem("CFG042", ("group",), f"{tenant.group!r} is not a group of config/groups.yaml{hint}")


def _taken_ids(said: Sequence[Said]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for document, tenant in said:
        other = first.setdefault(tenant.tenant, document.file)
        if other != document.file:
            text = f"{tenant.tenant!r} is the tenant of {other} too; DAG ids and landing prefixes would be the same"
            yield document.problem("CFG070", ("tenant",), text)


def _shared_rows(said: Sequence[Said]) -> Iterator[Problem]:
    readers: dict[Scope, str] = {}  # the first tenant of each schema, and of each part of one
    whole: dict[Scope, str] = {}  # who has no tenant_column reads the rows of all others in the schema
    for document, tenant in said:
        schema, part = source_scope(tenant)
        other = whole.get(schema) or readers.get(part or schema)
        if other:
            text = f"reads the rows of tenant {other!r} too; give each tenant its own database, schema or tenant_value"
            yield document.problem("CFG071", ("source",), text, at_key=True)
        for scope in (schema, part or schema):
            readers.setdefault(scope, tenant.tenant)
        if not part:
            whole.setdefault(schema, tenant.tenant)


def _shared_connections(said: Sequence[Said]) -> Iterator[Problem]:
    """A login that reaches two tenants' databases would let one tenant's run read the other's."""
    first: dict[str, Tenant] = {}
    for document, tenant in said:
        source = tenant.source
        other = first.setdefault(source.connection, tenant)
        if other.source.database.lower() != source.database.lower():
            text = (
                f"{source.connection!r} is the connection of tenant {other.tenant!r}, whose database is "
                f"{other.source.database}; give {source.database} a connection of its own"
            )
            yield document.problem("CFG072", ("source", "connection"), text)


def source_scope(tenant: Tenant) -> tuple[Scope, Scope]:
    """The schema a tenant reads and, in a shared one, its part of it (else empty). Case counts for connections only."""
    source = tenant.source
    schema = (source.connection, source.database.lower(), source.schema_.lower())
    part = (*schema, source.tenant_column.lower(), str(source.tenant_value).lower()) if source.tenant_column else ()
    return schema, part
