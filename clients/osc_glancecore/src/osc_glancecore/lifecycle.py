"""``openstack image lifecycle …``"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from osc_glancecore.asking import Does, Lists, Shows, one, table
from osc_glancecore.service import Service, ServiceError

_POLICIES, _PLANS = "/lifecycle/policies", "/lifecycle/plans"


def _policy(service: Service, name: str) -> Mapping[str, Any]:
    """By id or name. Raises ServiceError."""
    found = [x for x in service.json("GET", _POLICIES)["policies"] if name in (x["id"], x["name"])]
    if len(found) > 1:
        raise ServiceError(409, f"several policies have the name {name}; say the id")
    if not found:
        raise ServiceError(404, f"no policy {name}")
    return dict(found[0])


def _read(path: Path) -> object:
    """Raises ValueError, OSError."""
    try:
        return json.loads(path.read_text())
    except ValueError as exc:
        raise ValueError(f"{path} is no JSON: {exc}") from exc


def _which(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("policy", metavar="<policy>", help="its name or id")
    return parser


class CreatePolicy(Shows):
    """Create a lifecycle policy from a file; it changes no image"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("file", metavar="<file>", type=Path, help="JSON with name, selector, keep and steps")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        return one(self.service.json("POST", _POLICIES, json=_read(parsed_args.file)))


class ListPolicies(Lists):
    """List lifecycle policies of your project"""

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        del parsed_args
        return table(
            self.service.json("GET", _POLICIES)["policies"],
            {"ID": "id", "Name": "name", "Selector": "selector", "Written": "written_at"},
        )


class ShowPolicy(Shows):
    """Show a lifecycle policy"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        return one(_policy(self.service, parsed_args.policy))


class SetPolicy(Shows):
    """Write a lifecycle policy anew from a file"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _which(super().get_parser(prog_name))
        parser.add_argument("file", metavar="<file>", type=Path, help="JSON with name, selector, keep and steps")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Sequence[object]]:
        service = self.service
        return one(
            service.json(
                "PUT", f"{_POLICIES}/{_policy(service, parsed_args.policy)['id']}", json=_read(parsed_args.file)
            )
        )


class DeletePolicy(Does):
    """Delete a lifecycle policy with its plans"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        service = self.service
        service.call("DELETE", f"{_POLICIES}/{_policy(service, parsed_args.policy)['id']}")


_ENTRIES = {"Image": "image_id", "Action": "action", "Why": "why"}


class CreatePlan(Lists):
    """Plan what a policy would do now; it changes no image"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        service = self.service
        plan = service.json("POST", f"{_POLICIES}/{_policy(service, parsed_args.policy)['id']}/plans")
        for note in plan.get("notes", []):
            print(f"plan {plan['id']}: {note}", file=sys.stderr)
        if not plan["entries"]:
            print(f"plan {plan['id']}: no image takes a step now", file=sys.stderr)
        return table([{"plan": plan["id"], **x} for x in plan["entries"]], {"Plan": "plan", **_ENTRIES})


class ListPlans(Lists):
    """List plans of a policy, the last one first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        service = self.service
        plans = service.json("GET", f"{_POLICIES}/{_policy(service, parsed_args.policy)['id']}/plans")["plans"]
        return table(
            [{**x, "images": len(x["entries"])} for x in plans],
            {"ID": "id", "Made": "made_at", "Expires": "expires_at", "State": "state", "Images": "images"},
        )


class ShowPlan(Lists):
    """Show what a plan would do, image by image"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("plan", metavar="<plan>", help="its id")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        return table(self.service.json("GET", f"{_PLANS}/{quote(parsed_args.plan, safe='')}")["entries"], _ENTRIES)


class ApplyPlan(Lists):
    """Do what a plan says, and nothing else"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("plan", metavar="<plan>", help="its id")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        rows = self.service.json("POST", f"{_PLANS}/{quote(parsed_args.plan, safe='')}/actions/apply")["result"]
        return table(rows, {"Image": "image_id", "Action": "action", "Done": "done", "Why": "why"})
