"""glance-periodic: run the periodic jobs, or one of them once."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

from oslo_config import cfg

from glancecore.cmd import parsing, start
from glancecore.cmd.signals import Signals
from glancecore.conf import review
from glancecore.domain import errors
from glancecore.ports.options import section

if TYPE_CHECKING:
    from glancecore.assembly.lifecycle import Service
    from glancecore.kernel.core import CoreTools
    from glancecore.ports.options import Section
    from glancecore.ports.periodic import PeriodicJob

LOG = logging.getLogger(__name__)
PROG = "glance-periodic"
#: Exit codes of ``run``: done; it failed, or told errors; cut off; it is running elsewhere; it found what only an
#: operator can mend.
DONE, FAILED, STOPPED, BUSY, ALARM = 0, 1, 3, 4, 5


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> int:
    made = parser()
    args = made.parse_args()
    if args.json and args.run is _serve:
        made.error("--json: without a command nothing is told; name one: run, list or report")
    conf = start.read_config(args, log_level=None if args.run is _serve else logging.WARNING)
    return int(args.run(args, conf))


def _serve(_args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    service = _built(conf)
    review.tell(conf)
    signals = Signals(PROG, service.stop_jobs)
    if conf.periodic.metrics_port:
        from prometheus_client import start_http_server

        try:
            start_http_server(conf.periodic.metrics_port, "127.0.0.1")
        except OSError as exc:
            raise errors.ConfigError(
                f"[periodic] metrics_port = {conf.periodic.metrics_port}: {exc.strerror}; choose another port"
            ) from exc
    LOG.info("ready as %s, jobs %s", service.holder, ", ".join(conf.periodic.enabled_jobs))
    service.start_jobs()
    service.periodic.wait()
    service.close()
    signals.begin_again()
    return 0


def judge(words: list[str]) -> None:
    """As a start would, but places of stores are only looked at. Raises what that would."""
    conf = start.read_config(parser().parse_args(words))
    _built(conf, look=True).close()
    review.tell(conf)


def _built(conf: cfg.ConfigOpts, *, look: bool = False) -> Service:
    from glancecore.assembly.build import build

    if not conf.periodic.enabled_jobs:
        raise errors.ConfigError(
            "[periodic] enabled_jobs: no job is enabled, so there is nothing to do; name some, or don't run this"
            " program"
        )
    service = build(conf, look=look)
    service.database.ping()
    return service


def _run(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    return run_once(conf, args.job, dry_run=args.dry_run, as_json=args.json)


def run_once(
    conf: cfg.ConfigOpts,
    job: str,
    *,
    dry_run: bool,
    as_json: bool,
    cls: Callable[[Section, CoreTools], PeriodicJob] | None = None,
) -> int:
    """Run an installed job now and print its report; ``cls`` in the place of its own class. Returns the exit code."""
    from glancecore.assembly.build import build
    from glancecore.assembly.jobs import load_job
    from glancecore.periodic.job_run import RunOutcome

    service = build(conf)
    service.database.ping()
    try:
        scheduled = load_job(conf, job, service.tools, "JOB")
        if cls is not None:
            scheduled = replace(scheduled, job=cls(scheduled.job.conf, service.tools))
        _on_signals(service.stop_jobs)
        try:
            run = service.runner_of(scheduled).run(scheduled, dry_run=dry_run or scheduled.dry_run)
        except errors.ImageBusy as exc:
            sys.stderr.write(f"error: {exc}\n")
            return BUSY
    finally:
        service.close()
    print(json.dumps(run.as_json(), indent=1) if as_json else run.text())
    if run.outcome is RunOutcome.STOPPED:
        return STOPPED
    if run.outcome is not RunOutcome.DONE or run.report.errors:
        return FAILED
    return ALARM if scheduled.job.alarms & run.report.counts.keys() else DONE


def _list(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    from glancecore.assembly import extensions
    from glancecore.assembly.jobs import job_row
    from glancecore.assembly.kernel import load_database
    from glancecore.assembly.loader import installed, load
    from glancecore.periodic import runner
    from glancecore.ports.periodic import job_options

    database = load_database(conf)
    rows = []
    try:
        leader = runner.leader(database.jobs)
        of_extensions = extensions.jobs(extensions.load(conf))
        for name in sorted({*(x.name for x in installed("periodic")), *of_extensions}):
            try:
                cls = of_extensions.get(name) or load("periodic", name, "name")
            except errors.PluginBroken as exc:
                rows.append({"job": name, "enabled": name in conf.periodic.enabled_jobs, "broken": str(exc)})
                continue
            own = section(conf, f"periodic_{name}", job_options(cls.interval, cls.options))
            record = database.jobs.record(job_row(conf, name, cls))
            report = record.report or {}
            rows.append(
                {
                    "job": name,
                    "enabled": name in conf.periodic.enabled_jobs or name in of_extensions,
                    "interval": own.interval,
                    "dry_run": own.dry_run,
                    "of_machine": cls.of_machine,
                    "summary": cls.summary,
                    "started_at": record.started_at.isoformat() if record.started_at else None,
                    "ended_at": record.ended_at.isoformat() if record.ended_at else None,
                    "outcome": report.get("outcome"),
                    "report": record.report,
                    "broken": None,
                }
            )
    finally:
        database.close()
    if args.json:
        print(json.dumps({"leader": leader, "jobs": rows}, indent=1))
        return 0
    print(f"leader: {leader or 'none'}")
    for row in rows:
        if row["broken"]:
            print(f"{row['job']:17} {row['broken']}")
            continue
        state = "on" if row["enabled"] else "off"
        state += ", dry run" if row["dry_run"] else ""
        state += ", on each machine" if row["of_machine"] else ""
        print(f"{row['job']:17} {state}, every {row['interval']:g} s: {row['summary']}")
        if row["started_at"]:
            ended = row["ended_at"] or "not ended"
            print(f"{'':17} last: {row['started_at']} to {ended}, {row['outcome'] or 'no report yet'}")
    return 0


def _report(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    from glancecore.assembly.jobs import job_class, job_row
    from glancecore.assembly.kernel import load_database
    from glancecore.periodic.job_run import from_json

    cls = job_class(conf, args.job, "JOB")
    database = load_database(conf)
    try:
        report = database.jobs.record(job_row(conf, args.job, cls)).report
    finally:
        database.close()
    if report is None:
        sys.stderr.write(f"error: the job {args.job} has no report yet\n")
        return FAILED
    print(json.dumps(report, indent=1) if args.json else from_json(report).text())
    return DONE


def _on_signals(stop: Callable[[], None]) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def parser() -> argparse.ArgumentParser:
    made = parsing.parser(PROG, "Run the periodic jobs while this process leads; several may wait for it.")
    start.add_config_arguments(made)
    made.add_argument("--json", action="store_true", help="print JSON, of what a command tells")
    made.set_defaults(run=_serve)
    actions = made.add_subparsers(dest="action", metavar="ACTION")
    run = actions.add_parser(
        "run",
        help=(
            "run one job now and print its report; exit 0 done, 1 something failed, 3 cut off, 4 it runs elsewhere, 5"
            " data is lost"
        ),
    )
    run.add_argument("job", metavar="JOB", help="name of an installed job, enabled or not")
    run.add_argument("--dry-run", action="store_true", help="change nothing; report what would be done")
    run.set_defaults(run=_run)
    listing = actions.add_parser(
        "list", help="all installed jobs, who leads, and when each ran last; of the machine's own, when here"
    )
    listing.set_defaults(run=_list)
    report = actions.add_parser("report", help="the last run's report")
    report.add_argument("job", metavar="JOB")
    report.set_defaults(run=_report)
    return made
