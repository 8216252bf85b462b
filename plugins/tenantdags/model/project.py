"""The files of a project: which there are, and the plans they come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tenantdags.model.contract import Contract
from tenantdags.model.contract_reader import FILE_NAME, parent_ref, read_contract, shape_of
from tenantdags.model.document import Document, Problems, parse
from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.fields import suggestion
from tenantdags.model.odcs import standard_problems
from tenantdags.model.plan import TablePlan
from tenantdags.model.resolve import Inputs, Scope, source_scope, table_plan
from tenantdags.model.tenant import Defaults, Tenant
from tenantdags.model.validate import validate

TENANTS = "config/tenants"
DEFAULTS = "config/defaults.yaml"
CONTRACTS = "include/contracts"


@dataclass(frozen=True, slots=True)
class Project:
    """A project without a mistake: all its plans, by tenant and table."""

    root: Path
    plans: tuple[TablePlan, ...]

    @property
    def tenants(self) -> tuple[str, ...]:
        return tuple(sorted({plan.tenant for plan in self.plans}))

    def plans_of(self, tenant: str) -> tuple[TablePlan, ...]:
        return tuple(plan for plan in self.plans if plan.tenant == tenant)


def tenant_files(root: Path) -> dict[str, Path]:
    """Every tenant file by its stem, sorted. A file with another ending than .yaml is not a tenant."""
    return {path.stem: path for path in sorted((Path(root) / TENANTS).glob("*.yaml"))}


def load_tenant(root: Path, tenant: str, text: str | None = None) -> tuple[TablePlan, ...]:
    """The plans of one tenant, in the file's order; reads its file (or takes `text`), the defaults and its contracts.

    Raises ConfigError with every problem of these files and of no other tenant's.
    """
    document, said, defaults = _tenant_and_defaults(Path(root), tenant, text)
    problems = Problems(document)
    _check_tenant(tenant, said, defaults, problems)
    contracts = _contracts_of(Path(root), said, problems)
    readable = [table for table, its in said.tables.items() if its.contract in contracts]
    plans = [table_plan(Inputs(said, table, defaults, contracts, document.file), problems) for table in readable]
    if problems.found:
        raise ConfigError(problems.found)
    return tuple(plan for plan in plans if plan)


def load_project(root: Path) -> Project:
    """Every plan of the project. Raises ConfigError with all problems of all files, also those between tenants."""
    plans: list[TablePlan] = []
    problems: list[Problem] = [*_stray_files(Path(root)), *_unused_contract_problems(Path(root))]
    for tenant in tenant_files(root):
        try:
            plans.extend(load_tenant(root, tenant))
        except ConfigError as error:
            problems.extend(error.problems)
    problems.extend(_shared_scopes(Path(root)))
    if problems:
        raise ConfigError(problems)
    return Project(Path(root), tuple(plans))


def check_project(root: Path) -> Project:
    """As load_project, and contracts are also held against the ODCS standard itself: for people, not for runs."""
    project: Project | None = None
    ours: tuple[Problem, ...] = ()
    try:
        project = load_project(root)
    except ConfigError as error:
        ours = error.problems
    # of a file we refuse ourselves, the standard would only say the same in worse words
    told = {problem.file for problem in ours}
    others = [ref for ref in contract_refs(Path(root)) if _contract_file(ref) not in told]
    problems = [*ours, *(p for ref in others for p in standard_problems(*_contract_text(Path(root), ref)))]
    if project is None or problems:
        raise ConfigError(problems)
    return project


def inputs_of(root: Path, tenant: str) -> tuple[Path, ...]:
    """The files this tenant's plans were made of: change one, and they may change. Never raises for a broken file."""
    root = Path(root)
    own = (root / DEFAULTS, root / TENANTS / f"{tenant}.yaml")
    try:
        _, said = _tenant(root, tenant, None)
        refs = {table.contract for table in said.tables.values()}
        parents = {ref for r in refs if _contract_path(root, r).is_file() and (ref := _parent_of(root, r))}
    except ConfigError:
        # what a broken file would name is unknown, so every contract counts
        return (*own, *sorted((root / CONTRACTS).glob("*.odcs.yaml")))
    return (*own, *sorted(_contract_path(root, ref) for ref in refs | parents))


def contract_refs(root: Path) -> list[str]:
    """`orders@1` … of every contract file with a proper name."""
    names = (FILE_NAME.fullmatch(path.name) for path in (root / CONTRACTS).glob("*.yaml"))
    return sorted(f"{m['table']}@{m['major']}" for m in names if m)


def load_contract(root: Path, ref: str) -> Contract:
    """The contract of `orders@1`. Raises ConfigError; FileNotFoundError when there is no such file."""
    file, text = _contract_text(root, ref)
    document, shape = shape_of(file, text)
    parent = parent_ref(shape)
    why = _unfit_parent(root, ref, parent) if parent else None
    if why:
        raise ConfigError([document.problem("CFG127", _place_of_parent(document), f"contract {parent!r} {why}")])
    return read_contract(file, text, load_contract(root, parent) if parent else None)


def _unfit_parent(root: Path, ref: str, parent: str) -> str | None:
    if parent == ref:
        return "is this contract itself; name the parent's"
    if not _contract_path(root, parent).is_file():
        return f"does not exist{suggestion(parent, contract_refs(root))}"
    return "takes its window from a parent itself; name one with its own column" if _parent_of(root, parent) else None


def _place_of_parent(document: Document) -> tuple[str | int, ...]:
    return next(path for path in document.values if path[-2:] == ("through", "contract"))


def _parent_of(root: Path, ref: str) -> str | None:
    return parent_ref(shape_of(*_contract_text(root, ref))[1])


def _contract_file(ref: str) -> str:
    table, _, major = ref.partition("@")
    return f"{CONTRACTS}/{table}.v{major}.odcs.yaml"


def _contract_path(root: Path, ref: str) -> Path:
    return root / _contract_file(ref)


def _contract_text(root: Path, ref: str) -> tuple[str, str]:
    return _contract_file(ref), _read(_contract_path(root, ref), _contract_file(ref))


def _read(path: Path, file: str) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(file, 1, 1, "", f"is not UTF-8 text (byte {error.start + 1})", "CFG002")]) from None
    except FileNotFoundError:
        raise ConfigError([Problem(file, 1, 1, "", "does not exist; the project needs it", "CFG001")]) from None


# by text, not by path: thousands of tenants share one reading, and an edit is never missed
@lru_cache(maxsize=64)
def _defaults(text: str) -> Defaults:
    return validate(parse(DEFAULTS, text), Defaults)


def _tenant(root: Path, tenant: str, text: str | None) -> tuple[Document, Tenant]:
    file = f"{TENANTS}/{tenant}.yaml"
    document = parse(file, _read(root / file, file) if text is None else text)
    return document, validate(document, Tenant)


def _tenant_and_defaults(root: Path, tenant: str, text: str | None) -> tuple[Document, Tenant, Defaults]:
    """Both, or the problems of both."""
    problems: list[Problem] = []
    found: list[Any] = []
    for read in (lambda: _tenant(root, tenant, text), lambda: _defaults(_read(root / DEFAULTS, DEFAULTS))):
        try:
            found.append(read())
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    (document, said), defaults = found
    return document, said, defaults


def _contracts_of(root: Path, tenant: Tenant, problems: Problems) -> dict[str, Contract]:
    """The contracts the tenant names, without those that have problems of their own."""
    found: dict[str, Contract] = {}
    for table, said in tenant.tables.items():
        if not _contract_path(root, said.contract).is_file():
            text = f"contract {said.contract!r} does not exist{suggestion(said.contract, contract_refs(root))}"
            problems.add("CFG044", ("tables", table, "contract"), text)
            continue
        try:
            found[said.contract] = load_contract(root, said.contract)
        except ConfigError as error:
            problems.found.extend(error.problems)
    return found


def _check_tenant(stem: str, tenant: Tenant, defaults: Defaults, problems: Problems) -> None:
    if tenant.tenant != stem:
        problems.add("CFG040", ("tenant",), f"must be {stem!r}, as in the file's name")
    if tenant.tier not in defaults.tiers:
        hint = suggestion(tenant.tier, defaults.tiers)
        problems.add("CFG041", ("tier",), f"{tenant.tier!r} is not a tier of {DEFAULTS}{hint}")


def _stray_files(root: Path) -> Iterator[Problem]:
    """A tenant file nobody reads would look like a tenant that is loaded."""
    for path in sorted((root / TENANTS).iterdir()) if (root / TENANTS).is_dir() else ():
        if path.suffix != ".yaml" and not path.name.startswith("."):
            text = "is not read; tenant files are named <tenant>.yaml"
            yield Problem(f"{TENANTS}/{path.name}", 1, 1, "", text, "CFG019")
    if not tenant_files(root):
        text = "holds no tenant file; add <tenant>.yaml, or name the project with --project"
        yield Problem(TENANTS, 1, 1, "", text, "CFG020")


def _unused_contract_problems(root: Path) -> Iterator[Problem]:
    """Contracts are checked whether a tenant uses them or not."""
    for path in sorted((root / CONTRACTS).glob("*")):
        match = FILE_NAME.fullmatch(path.name)
        if not match:
            text = "is not read; contracts are named <table>.v<major>.odcs.yaml, in small letters"
            yield Problem(f"{CONTRACTS}/{path.name}", 1, 1, "", text, "CFG100")
            continue
        try:
            load_contract(root, f"{match['table']}@{match['major']}")
        except ConfigError as error:
            yield from error.problems


def _shared_scopes(root: Path) -> Iterator[Problem]:
    """Two tenants that would read the same rows: each problem stands in the later file and names the earlier."""
    readers: dict[Scope, str] = {}  # the first tenant of each schema, and of each part of one
    whole: dict[Scope, str] = {}  # who has no tenant_column reads the rows of all others in the schema
    for document, tenant in _readable(root):
        schema, part = source_scope(tenant)
        other = whole.get(schema) or readers.get(part or schema)
        if other:
            text = f"reads the rows of tenant {other!r} too; give each tenant its own database, schema or tenant_value"
            yield document.problem("CFG071", ("source",), text, at_key=True)
        for scope in (schema, part or schema):
            readers.setdefault(scope, tenant.tenant)
        if not part:
            whole.setdefault(schema, tenant.tenant)


def _readable(root: Path) -> Iterable[tuple[Document, Tenant]]:
    for name in tenant_files(root):
        try:
            yield _tenant(root, name, None)
        except ConfigError:
            continue  # told by load_tenant


def project_root(start: Path) -> Path:
    """`start` or the nearest folder above it that holds config/tenants; `start` when none does."""
    return next((p for p in (start, *start.parents) if (p / TENANTS).is_dir()), start)
