"""`python -m sandbox up|down|status|seed|break|repair`: the outside world on one machine, by command."""

import argparse
import json
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sandbox.breakage import CATALOGUE, break_it, repair_it
from sandbox.services import SandboxError
from sandbox.sqlserver.client import SqlServerError
from sandbox.world import DEFAULT_RUN, World


def up(world: World, args: argparse.Namespace) -> None:
    world.up(say=print)


def down(world: World, args: argparse.Namespace) -> None:
    world.down(say=print)


def status(world: World, args: argparse.Namespace) -> None:
    for name, info in world.status().items():
        print(f"{name}: {json.dumps(info) if info else 'down'}")


def seed(world: World, args: argparse.Namespace) -> None:
    from sandbox.seed import seed as seed_sources

    try:
        seed_sources(world.sqlserver, args.anchor, days=args.days, orders_per_day=args.orders_per_day)
    except ValueError as error:
        raise SandboxError(str(error)) from error
    print(f"seeded {args.days} days up to {args.anchor} for every tenant")


def break_(world: World, args: argparse.Namespace) -> None:
    if args.list or not args.what:
        for breakage in CATALOGUE:
            print(f"{breakage.usage:<42} {breakage.meaning}")
        return
    print(break_it(world, args.what))


def repair(world: World, args: argparse.Namespace) -> None:
    print(repair_it(world, args.what))


def parser() -> argparse.ArgumentParser:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    top = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="command")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--run", type=Path, default=DEFAULT_RUN, help="where files and sockets live (sandbox/.run)")
    for name, action, about in (
        ("up", up, "start what is not running and write the connections"),
        ("down", down, "end what up started; data stays"),
        ("status", status, "show each service, its pid and ports"),
    ):
        commands.add_parser(name, parents=[common], help=about).set_defaults(action=action)
    seeding = commands.add_parser("seed", parents=[common], help="fill the sources, always with the same rows")
    seeding.add_argument("--anchor", type=date.fromisoformat, default=yesterday, help="last day, ISO date (yesterday)")
    seeding.add_argument("--days", type=int, default=12)
    seeding.add_argument("--orders-per-day", type=int, default=200)
    seeding.set_defaults(action=seed)
    breaking = commands.add_parser("break", parents=[common], help="make something fail; --list explains all")
    breaking.add_argument("--list", action="store_true")
    breaking.add_argument("what", nargs="*")
    breaking.set_defaults(action=break_)
    repairing = commands.add_parser("repair", parents=[common], help="undo a break, or all armed faults")
    repairing.add_argument("what", nargs="*")
    repairing.set_defaults(action=repair)
    return top


def main() -> int:
    args = parser().parse_args()
    try:
        args.action(World(args.run), args)
    except (SandboxError, SqlServerError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
