"""The files of a project: which there are, and the plans they come to."""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path

from tenantdags.model.between import Said, between_tenants, unknown_groups
from tenantdags.model.contract import Contract
from tenantdags.model.contract_file import FILE_NAME, ContractFile
from tenantdags.model.contract_reader import parent_ref, query_problems_of, read_contract, shape_of, target_of
from tenantdags.model.document import MAX_BYTES, Document, Problems, parse, too_large
from tenantdags.model.errors import ConfigError, Problem
from tenantdags.model.fields import suggestion
from tenantdags.model.odcs import standard_problems
from tenantdags.model.plan import TablePlan
from tenantdags.model.provenance import Files, PlanPath, origins
from tenantdags.model.references import Target, named_contracts
from tenantdags.model.resolve import Inputs, open_rules, table_plan
from tenantdags.model.risks import contract_risks, crowded_sources, tenant_risks
from tenantdags.model.schema import Known
from tenantdags.model.tenant import Defaults, Groups, Tenant
from tenantdags.model.validate import validate

TENANTS = "config/tenants"
DEFAULTS = "config/defaults.yaml"
GROUPS = "config/groups.yaml"
CONTRACTS = "include/contracts"


@dataclass(frozen=True, slots=True)
class Project:
    """A project without a mistake: all its plans, by tenant and table."""

    root: Path
    plans: tuple[TablePlan, ...]
    warnings: tuple[Problem, ...] = ()  # of check_project only

    @property
    def tenants(self) -> tuple[str, ...]:
        return tuple(sorted({plan.tenant for plan in self.plans}))

    def plans_of(self, tenant: str) -> tuple[TablePlan, ...]:
        return tuple(plan for plan in self.plans if plan.tenant == tenant)


def tenant_files(root: Path) -> dict[str, Path]:
    """Every tenant file by its stem, sorted. A hidden file, or one not ending in .yaml, is not a tenant's."""
    names = sorted((Path(root) / TENANTS).glob("*.yaml"))
    return {path.stem: path for path in names if not path.name.startswith(".")}


def load_tenant(root: Path, tenant: str, text: str | None = None, only: str | None = None) -> tuple[TablePlan, ...]:
    """The plans of one tenant, in the file's order; reads its file (or takes `text`), the defaults and its contracts.

    With `only` the plan of that table, or none if the file has no such table: a task has no need of the others, and no
    trouble with their contracts. Raises ConfigError with every problem of these files and of no other tenant's.
    """
    document, said, defaults = _tenant_and_defaults(Path(root), tenant, text)
    return _plans(Path(root), document, said, defaults, only)


def _plans(
    root: Path, document: Document, said: Tenant, defaults: Defaults, only: str | None = None
) -> tuple[TablePlan, ...]:
    problems = Problems(document)
    _check_tenant(said, defaults, problems)
    wanted = [table for table in said.tables if only in (None, table)]
    contracts = _contracts_of(root, said, said.tables if only is None else _with_parents(root, said, wanted), problems)
    readable = [table for table in wanted if said.tables[table].contract in contracts]
    plans = [table_plan(Inputs(said, table, defaults, contracts, document.file), problems) for table in readable]
    if problems.found:
        raise ConfigError(problems.found)
    return tuple(plan for plan in plans if plan)


def _with_parents(root: Path, said: Tenant, tables: list[str]) -> list[str]:
    """These tables, then those of the tenant that their contracts refer to."""
    named: set[str] = set()
    for table in tables:
        with suppress(ConfigError):  # told where the contract itself is read
            named |= {ref.partition("@")[0] for ref in _referred_by(root, said.tables[table].contract)}
    found = (table for table, its in said.tables.items() if its.contract.partition("@")[0] in named)
    return [*tables, *(table for table in found if table not in tables)]


def explain_tenant(root: Path, tenant: str) -> tuple[tuple[TablePlan, Mapping[PlanPath, str]], ...]:
    """The plans of one tenant, each with the place every value of it comes from. Raises ConfigError."""
    root = Path(root)
    plans = load_tenant(root, tenant)
    document, said, defaults = _tenant_and_defaults(root, tenant, None)
    defaults_file = parse(DEFAULTS, read_text(root / DEFAULTS, DEFAULTS))
    contracts = {table.contract: load_contract(root, table.contract) for table in said.tables.values()}
    explained = []
    for plan in plans:
        inputs = Inputs(said, plan.table, defaults, contracts, document.file)
        parent = plan.contract.window.parent
        files = Files(
            document, defaults_file, shape_of(*_contract_text(root, plan.contract.ref))[0],
            shape_of(*_contract_text(root, parent.contract))[0] if parent else None,
        )  # fmt: skip
        explained.append((plan, origins(inputs, plan, files)))
    return tuple(explained)


def known_names(root: Path) -> Known:
    """What the project's files define for others to name. Raises ConfigError when they have mistakes themselves."""
    root, problems = Path(root), list[Problem]()
    with _collected(problems):
        defaults = _read_defaults(root)
    with _collected(problems):
        groups = _groups(root)
    contracts = []
    for ref in contract_refs(root):
        with _collected(problems):
            contracts.append(load_contract(root, ref))
    if problems:
        raise ConfigError(problems)
    return Known(
        tiers=tuple(defaults.tiers), groups=tuple(groups.groups), flags=tuple(defaults.flags),
        contracts=tuple(contract.ref for contract in contracts),
        rules=tuple(sorted({rule for contract in contracts for rule in open_rules(contract)})),
    )  # fmt: skip


def load_project(root: Path) -> Project:
    """Every plan of the project. Raises ConfigError with all problems of all files, also those between tenants."""
    plans, _, problems = _everything(Path(root))
    if problems:
        raise ConfigError(problems)
    return Project(Path(root), plans)


def _everything(root: Path) -> tuple[tuple[TablePlan, ...], list[Said], list[Problem]]:
    """The plans of all good tenants, what every readable tenant file says, and all problems."""
    plans: list[TablePlan] = []
    said: list[Said] = []
    problems: list[Problem] = [*_stray_files(root), *_unused_contract_problems(root)]
    tenants = tenant_files(root)
    with _collected(problems):
        if tenants:  # without any, this is the wrong folder, and that alone is worth telling
            _read_defaults(root)
    for tenant in tenants:
        with _collected(problems):
            said.append(_tenant(root, tenant, None))
            plans.extend(_plans(root, *said[-1], _read_defaults(root)))
    problems.extend(between_tenants(said))
    return tuple(plans), said, problems


def check_project(root: Path, today: date | None = None) -> Project:
    """As load_project, for people and not for runs: also groups, the ODCS standard itself, and warnings.

    Raises ConfigError with warnings among the problems, if there is an error among them. `today` is the UTC date.
    """
    root = Path(root)
    plans, said, problems = _everything(root)
    with _collected(problems):
        if tenant_files(root):
            problems.extend(unknown_groups(said, _groups(root)))
    problems.extend(_deeper_problems(root, {problem.file for problem in problems}))
    wrong = {(problem.file, problem.line) for problem in problems}
    risks = _risks(root, said, today or datetime.now(UTC).date())
    warnings = tuple(sorted(risk for risk in risks if (risk.file, risk.line) not in wrong))
    if problems:
        raise ConfigError([*problems, *warnings])
    return Project(root, plans, warnings)


def check_contracts(root: Path) -> tuple[tuple[Contract, ...], tuple[Problem, ...]]:
    """(the contracts without a mistake, every problem and warning of all of them), tenants' files aside.

    A contract nobody uses is a warning, unless a tenant file cannot be read and so may use it.
    """
    root = Path(root)
    problems = list(_unused_contract_problems(root))
    problems.extend(_deeper_problems(root, {problem.file for problem in problems}))
    wrong = {problem.file for problem in problems}
    used, contracts = used_contracts(root), list[Contract]()
    for ref in contract_refs(root):
        with suppress(ConfigError):  # its own problems are told, and those of its parent as the parent's
            contract, document = load_contract(root, ref), shape_of(*_contract_text(root, ref))[0]
            if _contract_file(ref) not in wrong:
                contracts.append(contract)
                problems.extend(contract_risks(document, contract))
                problems.extend(_unused(document, ref) if used is not None and not used.get(ref) else ())
    return tuple(contracts), tuple(sorted(set(problems)))


def _unused(document: Document, ref: str) -> Iterator[Problem]:
    text = f"no tenant uses {ref}; name it in a tenant file, or delete it when nobody reads its table any more"
    yield replace(document.problem("CFG917", (), text), severity="warning")


def used_contracts(root: Path) -> dict[str, list[str]] | None:
    """The tenants by each contract that they load, or that one of those names; None when not all is known."""
    found: dict[str, list[str]] = {}
    for tenant in tenant_files(root):
        try:
            refs = {table.contract for table in _tenant(root, tenant, None)[1].tables.values()}
            refs |= {ref for r in refs if (ref := _parent_of(root, r))}
            refs |= {ref for r in refs for ref in _referred_by(root, r)}
        except ConfigError:
            return None
        for ref in refs:
            found.setdefault(ref, []).append(tenant)
    return found


def _deeper_problems(root: Path, told: set[str]) -> list[Problem]:
    """What only people ask for: the ODCS standard and the SQL of rules, of the contracts that are not yet refused.

    Of a file we refuse ourselves, the standard would only say the same in worse words.
    """
    problems: list[Problem] = []
    for ref in contract_refs(root):
        if _contract_file(ref) not in told:
            problems.extend(standard_problems(*_contract_text(root, ref)))
            with _collected(problems):  # a parent's problems are told as the parent's
                problems.extend(query_problems_of(*_contract_text(root, ref), load_contract(root, ref)))
    return problems


def _risks(root: Path, said: Sequence[Said], today: date) -> Iterator[Problem]:
    contracts: dict[str, Contract] = {}
    for ref in contract_refs(root):
        with suppress(ConfigError):  # its errors are told by _everything
            contracts[ref] = load_contract(root, ref)
            yield from contract_risks(shape_of(*_contract_text(root, ref))[0], contracts[ref])
    for document, tenant in said:
        yield from tenant_risks(document, tenant, contracts, today)
    with suppress(ConfigError):  # the same
        yield from crowded_sources(said, _read_defaults(root).pools)


@contextmanager
def _collected(problems: list[Problem]) -> Iterator[None]:
    """Goes on after a ConfigError, with its problems kept."""
    try:
        yield
    except ConfigError as error:
        problems.extend(error.problems)


def inputs_of(root: Path, tenant: str) -> tuple[Path, ...]:
    """The files this tenant's plans were made of: change one, and they may change. Never raises for a broken file."""
    root = Path(root)
    own = (root / DEFAULTS, root / TENANTS / f"{tenant}.yaml")
    try:
        _, said = _tenant(root, tenant, None)
        refs = {table.contract for table in said.tables.values()}
        refs |= {ref for r in refs if (ref := _parent_of(root, r))}
        refs |= {ref for r in refs for ref in _referred_by(root, r)}
    except ConfigError:
        # what a broken file would name is unknown, so every contract counts
        return (*own, *sorted((root / CONTRACTS).glob("*.odcs.yaml")))
    return (*own, *sorted(_contract_path(root, ref) for ref in refs))


def contract_refs(root: Path) -> list[str]:
    """`orders@1` … of every contract file with a proper name."""
    names = (FILE_NAME.fullmatch(path.name) for path in (root / CONTRACTS).glob("*.yaml"))
    return sorted(f"{m['table']}@{m['major']}" for m in names if m)


def load_contract(root: Path, ref: str) -> Contract:
    """The contract of `orders@1`. Raises ConfigError, also when there is no such file."""
    return contract_of(root, ref, *_contract_text(root, ref))


def contract_of(root: Path, ref: str, file: str, text: str) -> Contract:
    """The contract that `text` is, wherever it comes from; what it names are the contracts of `root`."""
    document, shape = shape_of(file, text)
    parent = parent_ref(shape)
    why = _unfit_parent(root, ref, parent) if parent else None
    if why:
        raise ConfigError([document.problem("CFG127", _place_of_parent(document), f"contract {parent!r} {why}")])
    targets = _targets(root, ref, document, shape)
    return read_contract(file, text, load_contract(root, parent) if parent else None, targets)


def _targets(root: Path, ref: str, document: Document, shape: ContractFile) -> tuple[Target, ...]:
    """The contracts that this one's relationships name. Raises ConfigError for one that is missing or broken."""
    problems, found = Problems(document), []
    for named, place in named_contracts(shape).items():
        if named == ref:
            continue
        if not _contract_path(root, named).is_file():
            text = f"contract {named!r} does not exist{suggestion(named, contract_refs(root))}"
            problems.add("CFG134", place, text)
            continue
        with _collected(problems.found):
            found.append(target_of(*_contract_text(root, named)))
    if problems.found:
        raise ConfigError(problems.found)
    return tuple(found)


def targets_of(root: Path, refs: Iterable[str]) -> dict[str, Target]:
    """What relationships can point at, by ref. Raises ConfigError."""
    return {ref: target_of(*_contract_text(root, ref)) for ref in refs}


def _unfit_parent(root: Path, ref: str, parent: str) -> str | None:
    if parent == ref:
        return "is this contract itself; name the parent's"
    if not _contract_path(root, parent).is_file():
        return f"does not exist{suggestion(parent, contract_refs(root))}"
    return "takes its window from a parent itself; name one with its own column" if _parent_of(root, parent) else None


def _place_of_parent(document: Document) -> tuple[str | int, ...]:
    return next(path for path in document.values if path[-2:] == ("through", "contract"))


def _parent_of(root: Path, ref: str) -> str | None:
    """None also when there is no such contract: who names it is told so."""
    if not _contract_path(root, ref).is_file():
        return None
    return parent_ref(shape_of(*_contract_text(root, ref))[1])


def _referred_by(root: Path, ref: str) -> tuple[str, ...]:
    if not _contract_path(root, ref).is_file():
        return ()
    return tuple(named_contracts(shape_of(*_contract_text(root, ref))[1]))


def _contract_file(ref: str) -> str:
    table, _, major = ref.partition("@")
    return f"{CONTRACTS}/{table}.v{major}.odcs.yaml"


def _contract_path(root: Path, ref: str) -> Path:
    return root / _contract_file(ref)


def _contract_text(root: Path, ref: str) -> tuple[str, str]:
    return _contract_file(ref), read_text(_contract_path(root, ref), _contract_file(ref))


def read_text(path: Path, file: str) -> str:
    """The text of a file of the project. Raises ConfigError for what is missing, unreadable, too large or not UTF-8."""
    try:
        return _bytes_of(path, file).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(file, 1, 1, "", f"is not UTF-8 text (byte {error.start + 1})", "CFG002")]) from None
    except FileNotFoundError:
        raise ConfigError([Problem(file, 1, 1, "", "does not exist; the project needs it", "CFG001")]) from None
    except OSError as error:
        text = f"cannot be read ({error.strerror}); make it a plain file that every user of the project may read"
        raise ConfigError([Problem(file, 1, 1, "", text, "CFG001")]) from None


def _bytes_of(path: Path, file: str) -> bytes:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for, a device never ends
        raise OSError(errno.EINVAL, "it is not a plain file")
    if found.st_size > MAX_BYTES:
        raise ConfigError([too_large(file)])
    return path.read_bytes()


# by text, not by path: thousands of tenants share one reading, and an edit is never missed
@lru_cache(maxsize=64)
def _defaults(text: str) -> Defaults:
    return validate(parse(DEFAULTS, text), Defaults)


def _tenant(root: Path, tenant: str, text: str | None) -> tuple[Document, Tenant]:
    file = f"{TENANTS}/{tenant}.yaml"
    document = parse(file, read_text(root / file, file) if text is None else text)
    return document, validate(document, Tenant)


def _read_defaults(root: Path) -> Defaults:
    return _defaults(read_text(root / DEFAULTS, DEFAULTS))


def _groups(root: Path) -> Groups:
    return validate(parse(GROUPS, read_text(root / GROUPS, GROUPS)), Groups)


def _tenant_and_defaults(root: Path, tenant: str, text: str | None) -> tuple[Document, Tenant, Defaults]:
    """Both, or the problems of both."""
    problems: list[Problem] = []
    with _collected(problems):
        document, said = _tenant(root, tenant, text)
    with _collected(problems):
        defaults = _read_defaults(root)
    if problems:
        raise ConfigError(problems)
    return document, said, defaults


def _contracts_of(root: Path, tenant: Tenant, tables: Iterable[str], problems: Problems) -> dict[str, Contract]:
    """The contracts the tenant names for these tables, without those that have problems of their own."""
    found: dict[str, Contract] = {}
    for table in tables:
        ref = tenant.tables[table].contract
        try:
            found[ref] = load_contract(root, ref)
        except ConfigError as error:
            if _contract_path(root, ref).is_file():
                problems.found.extend(error.problems)
                continue
            text = f"contract {ref!r} does not exist{suggestion(ref, contract_refs(root))}"
            problems.add("CFG044", ("tables", table, "contract"), text)
    return found


def _check_tenant(tenant: Tenant, defaults: Defaults, problems: Problems) -> None:
    stem = Path(problems.document.file).stem
    if tenant.tenant != stem:
        remedy = f"rename the file to {tenant.tenant}.yaml" if stem.lower() == tenant.tenant else f"write {stem}"
        problems.add("CFG040", ("tenant",), f"{tenant.tenant!r} is not the file's name, {stem!r}; {remedy}")
    if tenant.tier not in defaults.tiers:
        hint = suggestion(tenant.tier, defaults.tiers)
        problems.add("CFG041", ("tier",), f"{tenant.tier!r} is not a tier of {DEFAULTS}{hint}")


def _stray_files(root: Path) -> Iterator[Problem]:
    """A tenant file nobody reads would look like a tenant that is loaded."""
    for path in sorted((root / TENANTS).iterdir()) if (root / TENANTS).is_dir() else ():
        if path.suffix != ".yaml" and not path.name.startswith("."):
            text = "is not read; tenant files are named <tenant>.yaml"
            yield Problem(f"{TENANTS}/{path.name}", 1, 1, "", text, "CFG019")
    yield from _twins_by_case(root)
    if not tenant_files(root):
        text = "holds no tenant file; add <tenant>.yaml, or name the project with --project"
        yield Problem(TENANTS, 1, 1, "", text, "CFG020")


def _twins_by_case(root: Path) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for name in tenant_files(root):
        other = first.setdefault(name.lower(), name)
        if other != name:
            text = f"differs from {other}.yaml by case only; where case does not count, one replaces the other"
            yield Problem(f"{TENANTS}/{name}.yaml", 1, 1, "", text, "CFG070")


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


def said_by(root: Path, tenant: str) -> Tenant:
    """What a tenant's file says, before anything is made of it. Raises ConfigError."""
    return _tenant(Path(root), tenant, None)[1]


def platform_of(root: Path) -> tuple[Defaults, Groups]:
    """What all tenants share. Raises ConfigError."""
    return _read_defaults(Path(root)), _groups(Path(root))


def newest_contracts(root: Path) -> tuple[Contract, ...]:
    """The highest major of every table, parents before children. Raises ConfigError."""
    newest = {ref.partition("@")[0]: ref for ref in sorted(contract_refs(root), key=lambda r: int(r.partition("@")[2]))}
    found = [load_contract(root, ref) for _, ref in sorted(newest.items())]
    return tuple(sorted(found, key=lambda contract: contract.window.parent is not None))


def project_root(start: Path) -> Path:
    """`start` or the nearest folder above it that holds config/tenants; `start` when none does."""
    return next((p for p in (start, *start.parents) if (p / TENANTS).is_dir()), start)
