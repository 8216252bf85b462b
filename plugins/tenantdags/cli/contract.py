"""`tenantdags contract check|show|diff|infer`: what contracts say, and what becomes of readers when they change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from tenantdags.cli.check import FormatOption, counts, show
from tenantdags.cli.options import ProjectOption, problems_shown, refuse, root_of
from tenantdags.cli.revision import RevisionError, forked_from, revision_folder
from tenantdags.model.contract import Contract
from tenantdags.model.contract_diff import ContractChange, breaking, changes_of, next_version
from tenantdags.model.contract_edit import edited
from tenantdags.model.contract_file import FILE_NAME
from tenantdags.model.contract_words import page
from tenantdags.model.errors import ConfigError
from tenantdags.model.fields import suggestion
from tenantdags.model.infer import drafted
from tenantdags.model.project import (
    CONTRACTS,
    check_contracts,
    contract_of,
    contract_refs,
    load_contract,
    read_text,
    said_by,
    targets_of,
    tenant_files,
    used_contracts,
)
from tenantdags.model.words import counted

app = typer.Typer(help="Contracts: what a table holds, how it is checked, and what a change does to its readers.")
Ref = Annotated[str, typer.Argument(help="A contract, like orders@1.")]
Before = Annotated[str, typer.Argument(help="orders@1, a contract's file, main:orders@1, or a git revision or folder.")]
After = Annotated[str | None, typer.Argument(help="The same of the later state. Default: this folder's contracts.")]
TenantName = Annotated[str, typer.Argument(help="The tenant by whose connection to look.")]
SourceTableName = Annotated[str, typer.Argument(metavar="TABLE", help="The table or view in the tenant's schema.")]
NameOption = Annotated[str | None, typer.Option("--name", help="The contract's table. Default: from the table's name.")]
Write = Annotated[bool, typer.Option("--write", help="Write it into include/contracts, if it is not there yet.")]
Draft = Annotated[bool, typer.Option("--draft", help="Print AFTER's text with the version its changes need, instead.")]


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two states of one contract, or two of its majors. `told` is how a person calls each."""

    before: Contract
    after: Contract
    told: tuple[str, str]


@app.command()
def check(project: ProjectOption = None, output: FormatOption = "text") -> None:
    """Check every contract. Exits with 1 when one is wrong; one that no tenant uses is a warning."""
    root = root_of(project)
    contracts, problems = check_contracts(root)
    wrong = any(problem.severity == "error" for problem in problems)
    show(problems, output)
    if output != "json":
        rules = sum(len(contract.checks) for contract in contracts)
        good = f"{counted(len(contracts), 'contract')}, {counted(rules, 'check')}: no problems"
        unknown = (
            "" if used_contracts(root) is not None else "; a tenant file is broken, so which are used is not known"
        )
        warned = f", {counted(len(problems), 'warning')}" if problems else ""
        typer.echo((counts(problems) if wrong else good + warned) + unknown, err=wrong)
    if wrong:
        raise typer.Exit(1)


@app.command(name="show")
def show_page(ref: Ref, project: ProjectOption = None) -> None:
    """Show a contract as a page: grain, columns and what happens to personal ones, checks in words, promises."""
    root = root_of(project)
    with problems_shown():
        contract = _known(root, ref)
    typer.echo(page(contract, (used_contracts(root) or {}).get(ref, ())), nl=False)


@app.command()
def diff(before: Before, after: After = None, draft: Draft = False, project: ProjectOption = None) -> None:
    """Tell what changed between two states of a contract, and whether its readers can go on as they are.

    Exits with 1 when a change breaks readers and the major version stays.
    """
    root = root_of(project)
    try:
        with problems_shown(), _pairs(root, before, after) as pairs:
            told = [(pair, changes_of(pair.before, pair.after)) for pair in pairs]
    except RevisionError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if draft:
        _print_drafts(told)
        return
    for pair, changes in told:
        typer.echo("\n".join(_lines(pair, changes)))
    if not told:
        typer.echo("no contract changed")
    if any(breaking(changes) and pair.before.major == pair.after.major for pair, changes in told):
        raise typer.Exit(1)


@app.command()
def infer(
    tenant: TenantName, table: SourceTableName, name: NameOption = None, write: Write = False,
    project: ProjectOption = None,
) -> None:  # fmt: skip
    """Draft a contract from a source table's catalogue views, through the tenant's connection. Reads no row."""
    from tenantdags.steps.infer import source_table

    root = root_of(project)
    with problems_shown():
        if tenant not in tenant_files(root):
            raise refuse(f"no tenant {tenant!r}{suggestion(tenant, tenant_files(root))}")
        said = said_by(root, tenant)
    with _world() as world, world.records_of(said.source.connection, said.source.database, f"{tenant} {table}") as ask:
        found = source_table(said, table, ask)
    known = _good_contracts(root)
    draft = drafted(found, known, targets_of(root, (contract.ref for contract in known)), name)
    path = root / CONTRACTS / f"{draft.table}.v1.odcs.yaml"
    if not write:
        typer.echo(draft.text, nl=False)
    elif path.exists():
        raise refuse(f"{path} exists; write the draft elsewhere and compare it with `tenantdags contract diff`")
    else:
        path.write_text(draft.text, encoding="utf-8")
        typer.echo(f"{path} written", err=True)
    typer.echo("; ".join(draft.notes), err=True)


@contextmanager
def _world() -> Iterator[ModuleType]:
    """Airflow's connections as clients; what stops a question ends the command with its remedy."""
    # Airflow reads it at import; what its clients log of a failure, the error says better
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "CRITICAL")
    from tenantdags.dag import world
    from tenantdags.model.errors import RunError

    try:
        yield world
    except RunError as error:
        raise refuse(str(error)) from None


def _good_contracts(root: Path) -> list[Contract]:
    """Those that can be read: a broken one must not keep another from being drafted."""
    found = []
    for ref in contract_refs(root):
        with suppress(ConfigError):
            found.append(load_contract(root, ref))
    return found


def _lines(pair: _Pair, changes: tuple[ContractChange, ...]) -> Iterator[str]:
    before, after = pair.before, pair.after
    yield f"{pair.told[0]} {before.version} → {pair.told[1]} {after.version}"
    yield from (f"  {change}" for change in changes)
    yield f"  {_verdict(before, after, changes)}"


def _verdict(before: Contract, after: Contract, changes: tuple[ContractChange, ...]) -> str:
    if not changes:
        return "says the same"
    number = sum(change.effect == "breaking" for change in changes)
    counts = f"{len(changes) - number} additive, {number} breaking"
    if before.major != after.major:
        return f"{counts}: a new table, which tenants move to one by one"
    needed = next_version(before, changes)
    if number:
        return f"{counts}: readers break; publish it as {before.table}.v{before.major + 1}.odcs.yaml, version {needed}"
    if _number(after.version) < _number(needed):
        return f"{counts}: readers can go on; raise the version to {needed}"
    return f"{counts}: readers can go on"


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _print_drafts(told: list[tuple[_Pair, tuple[ContractChange, ...]]]) -> None:
    if len(told) != 1:
        raise refuse(f"--draft is of one contract, and {counted(len(told), 'contract')} changed; name one")
    [(pair, changes)] = told
    typer.echo(edited(pair.after.text, (), (), next_version(pair.before, changes)), nl=False)


@contextmanager
def _pairs(root: Path, before: str, after: str | None) -> Iterator[list[_Pair]]:
    if after is None and not _names_one(before):
        with _folder_of(root, before) as (folder, name):
            yield _changed_between(folder, name, root)
    else:
        table = before.rpartition(":")[2]
        with _side(root, before) as (old, was), _side(root, after or table) as (new, will):
            yield [_Pair(old, new, (was, will))]


def _names_one(word: str) -> bool:
    return word.endswith(".yaml") or "@" in word


@contextmanager
def _side(root: Path, word: str) -> Iterator[tuple[Contract, str]]:
    """One contract and how it is called: `orders@1`, `main:orders@1`, or a file."""
    if word.endswith((".yaml", ".yml")):
        yield _from_file(root, Path(word)), word
        return
    revision, _, ref = word.rpartition(":")
    if not revision:
        yield _known(root, ref), ref
        return
    with _folder_of(root, revision) as (folder, name):
        yield _known(folder, ref), f"{ref} of {name}"


def _from_file(root: Path, path: Path) -> Contract:
    match = FILE_NAME.fullmatch(path.name)
    if not path.is_file() or match is None:
        why = "is no contract's file, which is named <table>.v<major>.odcs.yaml" if path.is_file() else "does not exist"
        raise refuse(f"{path} {why}")
    return contract_of(root, f"{match['table']}@{match['major']}", str(path), read_text(path, str(path)))


def _known(root: Path, ref: str) -> Contract:
    if ref not in contract_refs(root):
        raise refuse(f"no contract {ref!r}{suggestion(ref, contract_refs(root))}")
    return load_contract(root, ref)


@contextmanager
def _folder_of(root: Path, word: str) -> Iterator[tuple[Path, str]]:
    """A folder, or where the checked-out branch left a git revision; a folder's name wins."""
    if (Path(word) / "include/contracts").is_dir():
        yield Path(word), word
        return
    commit, name = forked_from(root, word)
    with revision_folder(root, commit) as folder:
        yield folder, name


def _changed_between(base: Path, name: str, root: Path) -> list[_Pair]:
    """Every contract of both that differs, and each new major beside the highest one before it."""
    was, will = set(contract_refs(base)), set(contract_refs(root))
    pairs = [_Pair(load_contract(base, ref), load_contract(root, ref), (f"{ref} of {name}", ref)) for ref in was & will]
    for ref in will - was:
        table, _, major = ref.partition("@")
        older = [int(r.partition("@")[2]) for r in will if r.partition("@")[0] == table]
        before = max((n for n in older if n < int(major)), default=None)
        if before is not None:
            old = f"{table}@{before}"
            pairs.append(_Pair(load_contract(root, old), load_contract(root, ref), (old, ref)))
    changed = [pair for pair in pairs if changes_of(pair.before, pair.after)]
    return sorted(changed, key=lambda pair: pair.told[1])
