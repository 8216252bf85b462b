"""`python -m benchmarks NAME`: measures, and writes its section of docs/benchmarks.md. `--help` lists the names."""

import argparse

from benchmarks.page import write_section


def extract(args: argparse.Namespace) -> None:
    from benchmarks.extract import section

    write_section("extract", section(rows=args.rows, scales=args.scales, rounds=args.rounds))


def parse(args: argparse.Namespace) -> None:
    from benchmarks.parse import section

    write_section("parse", section(tenants=args.tenants, tables=args.tables, rounds=args.rounds))


def check(args: argparse.Namespace) -> None:
    from benchmarks.check import section

    write_section("check", section(tenants=args.tenants, tables=args.tables, rounds=args.rounds))


def gates(args: argparse.Namespace) -> None:
    from benchmarks.gates import section

    write_section("gates", section(scales=args.rows, rounds=args.rounds))


def processor(args: argparse.Namespace) -> None:
    from benchmarks.processor import section

    write_section("processor", section(tenants=args.tenants, tables=args.tables, timeout=args.timeout))


def views(args: argparse.Namespace) -> None:
    from benchmarks.views import section

    write_section("views", section(log_rows=args.log_rows, rows=args.rows, rounds=args.rounds))


def alerting(args: argparse.Namespace) -> None:
    from benchmarks.alerting import section

    found = section(windows=args.windows, tenants=args.tenants, tables=args.tables, timeout=args.timeout)
    write_section("alerting", found)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="benchmark")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--rounds", type=int, default=3, help="turns of every contender (3)")

    reading = commands.add_parser("extract", parents=[common], help="SQL Server to Parquet, against other engines")
    reading.add_argument("--rows", type=int, default=1_000_000, help="rows of the compared table (1000000)")
    reading.add_argument("--scales", type=int, nargs="*", default=[100_000, 4_000_000], help="row counts for memory")
    reading.set_defaults(action=extract)

    parsing = commands.add_parser("parse", parents=[common], help="parsing thousands of DAGs, against other factories")
    parsing.add_argument("--tenants", type=int, nargs="*", default=[5, 50, 250], help="tenant files (5 50 250)")
    parsing.add_argument("--tables", type=int, default=20, help="tables of each tenant (20)")
    parsing.set_defaults(action=parse)

    checking = commands.add_parser("check", parents=[common], help="checking a whole fleet, cold")
    checking.add_argument("--tenants", type=int, default=250, help="tenant files (250)")
    checking.add_argument("--tables", type=int, default=20, help="tables of each tenant (20)")
    checking.set_defaults(action=check)

    judging = commands.add_parser("gates", parents=[common], help="judging a load, against Soda alone and plain SQL")
    judging.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 10_000_000], help="row counts (1000000 …)")
    judging.set_defaults(action=gates)

    processing = commands.add_parser("processor", help="a real dag-processor, from an empty database on")
    processing.add_argument("--tenants", type=int, default=250, help="tenant files (250)")
    processing.add_argument("--tables", type=int, default=20, help="tables of each tenant (20)")
    processing.add_argument("--timeout", type=float, default=1_800, help="seconds to wait for all of them (1800)")
    processing.set_defaults(action=processor)

    viewing = commands.add_parser("views", parents=[common], help="the readers' view over a long publish log")
    viewing.add_argument("--log-rows", type=int, default=1_000_000, help="rows of the publish log (1000000)")
    viewing.add_argument("--rows", type=int, default=1_000_000, help="rows of the curated table (1000000)")
    viewing.set_defaults(action=views)

    paging = commands.add_parser("alerting", help="from a deadline to its page, and what the watch costs")
    paging.add_argument("--windows", type=int, default=24, help="deadlines of each kind (24)")
    paging.add_argument("--tenants", type=int, default=250, help="tenant files the watch looks at (250)")
    paging.add_argument("--tables", type=int, default=20, help="tables of each tenant (20)")
    paging.add_argument("--timeout", type=float, default=1_800, help="seconds to wait for their DAGs (1800)")
    paging.set_defaults(action=alerting)
    return top


def main() -> None:
    args = parser().parse_args()
    args.action(args)


if __name__ == "__main__":
    main()
