"""glance-manage lifecycle …"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from glancecore.domain.context import Context
from glancecore.domain.text import counted, escaped
from glancecore.ports.extension import Argument, CommandTree, Print
from glancecore.ports.record_repository import Record, RecordQuery
from glancecore_ext_lifecycle.applying import POLICIES

if TYPE_CHECKING:
    from glancecore_ext_lifecycle.extension import Lifecycle

_PROJECT = Argument(("--project",), {"required": True, "help": "the project whose policies are meant"})


def declare(manage: CommandTree) -> None:
    manage.add("list", "policies of all projects", _list)
    manage.add("plan", "plan what the policies of a project would do now", _plan, _PROJECT)
    manage.add(
        "apply",
        "do what a plan says, as a member and admin of its project",
        _apply,
        _PROJECT,
        Argument(("--plan",), {"required": True, "help": "the plan's id"}),
    )


def _ctx(args: argparse.Namespace) -> Context:
    return Context(project=args.project, roles=frozenset({"admin", "member", "reader"}), admin=True)


def _list(lifecycle: Lifecycle, args: argparse.Namespace, say: Print) -> int:
    after: tuple[str, str] | None = None
    while page := lifecycle.kernel.records.find(RecordQuery(POLICIES.name, after=after)):
        for x in page:
            say(
                json.dumps({"id": x.id, **x.data})
                if args.json
                else f"{x.id} {escaped(str(x.data['name']))} ({escaped(str(x.data['owner']))})"
            )
        after = (page[-1].id, page[-1].id)
    return 0


def _plan(lifecycle: Lifecycle, args: argparse.Namespace, say: Print) -> int:
    ctx = _ctx(args)
    for policy in lifecycle.plans.policies(ctx):
        _say(lifecycle.plans.make(ctx, policy), "entries", args, say)
    return 0


def _apply(lifecycle: Lifecycle, args: argparse.Namespace, say: Print) -> int:
    """1: not all was done."""
    done = lifecycle.plans.apply(_ctx(args), args.plan)
    _say(done, "result", args, say)
    rows: Any = done.data["result"]
    return 0 if all(x["done"] for x in rows) else 1


def _say(plan: Record, what: str, args: argparse.Namespace, say: Print) -> None:
    if args.json:
        say(json.dumps({"id": plan.id, **plan.data}))
        return
    rows: Any = plan.data[what]
    say(
        f"plan {plan.id} of policy {plan.data['policy_id']}: {counted(len(rows), 'image')}, {plan.data['left']} more"
        " behind them"
    )
    notes: Any = plan.data.get("notes", [])
    for note in notes:
        say(f"  note: {escaped(note)}")
    for x in rows:
        refused = "" if x.get("done", True) else " NOT DONE"
        say(f"  {x['action']} {x['image_id']}{refused}: {escaped(x['why'])}")
