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
from pathlib import Path

from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.plan import TablePlan
from tenantdags.model.project import CONTRACTS, DEFAULTS, TENANTS, contract_refs, load_tenant, read_text, tenant_files
from tenantdags.steps.blobs import Blobs

# shared-<digest>.json: defaults and contracts by path; <tenant>.json: which of these, and the tenant's file
KEPT = "_ops/watch/config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All plans. `broken` says per tenant what is wrong with its files now; without a plan where nothing good is kept.

    `digests` are those of the kept texts, per tenant.
    """

    plans: tuple[TablePlan, ...]
    broken: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)


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


def with_kept(fleet: Fleet, root: Path, blobs: Blobs, where: str, digests: Mapping[str, str]) -> Fleet:
    """Keeps what good tenants' files say, where they changed since `digests`, and adds the kept plans of broken ones.

    Raises LandingUnreachable or TableBehind.
    """
    now = {tenant: digests[tenant] for tenant in fleet.broken if tenant in digests}
    good = sorted({plan.tenant for plan in fleet.plans})
    if good:
        now |= _keep(root, good, blobs, where, digests)
    kept = [plan for tenant in fleet.broken if tenant in digests for plan in _kept_plans(blobs, where, tenant)]
    return Fleet(plans=(*fleet.plans, *kept), broken=fleet.broken, digests=now)


def _keep(root: Path, tenants: Iterable[str], blobs: Blobs, where: str, before: Mapping[str, str]) -> dict[str, str]:
    shared = json.dumps(_shared(root), sort_keys=True)
    with_it = _digest(shared)
    if not any(digest.startswith(with_it) for digest in before.values()):
        blobs.write(where, f"{KEPT}/shared-{with_it}.json", shared.encode())
    now = {}
    for tenant in tenants:
        file = f"{TENANTS}/{tenant}.yaml"
        text = read_text(root / file, file)
        now[tenant] = f"{with_it}.{_digest(text)}"
        if now[tenant] != before.get(tenant):
            kept = json.dumps({"shared": with_it, "text": text})
            blobs.write(where, f"{KEPT}/{tenant}.json", kept.encode())
    return now


def _kept_plans(blobs: Blobs, where: str, tenant: str) -> tuple[TablePlan, ...]:
    """Nothing where they are gone, or this version of ours finds fault with them as well."""
    own = blobs.read(where, f"{KEPT}/{tenant}.json")
    kept = json.loads(own[0]) if own else {}
    shared = blobs.read(where, f"{KEPT}/shared-{kept.get('shared')}.json") if kept else None
    if shared is None:
        return ()
    with tempfile.TemporaryDirectory() as folder:
        for file, text in json.loads(shared[0]).items():
            path = Path(folder) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        try:
            return load_tenant(Path(folder), tenant, kept["text"])
        except ConfigError:
            return ()


def _shared(root: Path) -> dict[str, str]:
    refs = (ref.partition("@") for ref in contract_refs(root))
    files = [DEFAULTS, *(f"{CONTRACTS}/{table}.v{major}.odcs.yaml" for table, _, major in refs)]
    return {file: read_text(root / file, file) for file in files}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
