"""Every plan there is to watch. A tenant whose files are broken is watched by its last good ones, kept in landing.

Or the mistake that stops a tenant's DAGs would also stop the watch from missing them.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import CONTRACTS, DEFAULTS, TENANTS, contract_refs, load_tenant, read_text, tenant_files
from tenantdags.steps.blobs import Blobs

# shared-<digest>.json: defaults and contracts by path; <tenant>/<time>.json: the tenant's file from then on, and which
# of these went with it
KEPT = "_ops/watch/config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All plans. `broken` says per tenant what is wrong with its files now."""

    plans: tuple[TablePlan, ...]
    broken: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LandingPlace:
    """Where the platform remembers: an Airflow connection and a container."""

    connection: str
    container: str


def landing_of(root: Path) -> LandingPlace:
    """Also of defaults that have mistakes elsewhere. Raises ConfigError when they do not say it."""
    import yaml

    text = read_text(root / DEFAULTS, DEFAULTS)
    with suppress(yaml.YAMLError, TypeError, KeyError):
        said = yaml.safe_load(text)["landing"]
        return LandingPlace(str(said["connection"]), str(said["container"]))
    raise ConfigError([Problem(DEFAULTS, 1, 1, "landing", "does not say connection and container", "CFG001")])


def read_fleet(root: Path) -> Fleet:
    """As the files say it, with nothing for broken tenants."""
    plans: list[TablePlan] = []
    broken: dict[str, str] = {}
    for tenant in tenant_files(root):
        try:
            plans += load_tenant(root, tenant)
        except ConfigError as error:
            broken[tenant] = str(error.problems[0])
    return Fleet(plans=tuple(plans), broken=broken)


def with_kept(fleet: Fleet, blobs: Blobs, where: str) -> Fleet:
    """With the last good plans of tenants that are broken now. Raises LandingUnreachable or TableBehind."""
    kept = [plan for tenant in fleet.broken for plan in _kept_plans(blobs, where, tenant)]
    return Fleet(plans=(*fleet.plans, *kept), broken=fleet.broken)


def keep(
    fleet: Fleet, root: Path, blobs: Blobs, where: str, digests: Mapping[str, str], now: datetime
) -> dict[str, str]:
    """Keeps what the files of good tenants say, where they changed since `digests`, and returns the new digests.

    Raises LandingUnreachable or TableBehind.
    """
    found = {tenant: digests[tenant] for tenant in fleet.broken if tenant in digests}
    good = sorted({plan.tenant for plan in fleet.plans if plan.tenant not in fleet.broken})
    return found | (_keep(root, good, blobs, where, digests, now) if good else {})


def kept_at(blobs: Blobs, where: str, tenant: str, at: datetime) -> dict[str, str] | None:
    """By path what the tenant's file, the defaults and the contracts said at that time; None where it is not known."""
    names = [name for name in blobs.names(where, f"{KEPT}/{tenant}/") if name <= _path(tenant, at)]
    own = blobs.read(where, names[-1]) if names else None
    kept = json.loads(own[0]) if own else {}
    shared = blobs.read(where, f"{KEPT}/shared-{kept.get('shared')}.json") if kept else None
    return {**json.loads(shared[0]), f"{TENANTS}/{tenant}.yaml": kept["text"]} if shared else None


def files_of(root: Path, tenant: str) -> dict[str, str]:
    """The same as it is now. Raises ConfigError for what cannot be read."""
    file = f"{TENANTS}/{tenant}.yaml"
    return {**_shared(root), file: read_text(root / file, file)}


def _keep(
    root: Path, tenants: Iterable[str], blobs: Blobs, where: str, before: Mapping[str, str], now: datetime
) -> dict[str, str]:
    shared = json.dumps(_shared(root), sort_keys=True)
    with_it = _digest(shared)
    if not any(digest.startswith(with_it) for digest in before.values()):
        blobs.write(where, f"{KEPT}/shared-{with_it}.json", shared.encode())
    found = {}
    for tenant in tenants:
        file = f"{TENANTS}/{tenant}.yaml"
        text = read_text(root / file, file)
        found[tenant] = f"{with_it}.{_digest(text)}"
        if found[tenant] != before.get(tenant):
            blobs.write(where, _path(tenant, now), json.dumps({"shared": with_it, "text": text}).encode())
    return found


def _path(tenant: str, at: datetime) -> str:
    return f"{KEPT}/{tenant}/{at:%Y%m%dT%H%M%SZ}.json"


def _kept_plans(blobs: Blobs, where: str, tenant: str) -> tuple[TablePlan, ...]:
    """Nothing where they are gone, or this version of ours finds fault with them as well."""
    files = kept_at(blobs, where, tenant, datetime.max.replace(tzinfo=UTC))
    if files is None:
        return ()
    with tempfile.TemporaryDirectory() as folder:
        for file, text in files.items():
            path = Path(folder) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        try:
            return load_tenant(Path(folder), tenant)
        except ConfigError:
            return ()


def _shared(root: Path) -> dict[str, str]:
    refs = (ref.partition("@") for ref in contract_refs(root))
    files = [DEFAULTS, *(f"{CONTRACTS}/{table}.v{major}.odcs.yaml" for table, _, major in refs)]
    return {file: read_text(root / file, file) for file in files}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
