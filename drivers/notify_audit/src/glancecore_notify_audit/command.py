"""glance-audit: is a trail whole?"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from glancecore.domain.errors import ConfigError
from glancecore_notify_audit.chain import Broken, Line
from glancecore_notify_audit.driver import key_of
from glancecore_notify_audit.trail import files, verified

#: Exit codes: the trail is not whole; it could not be looked at.
BROKEN, TROUBLE = 1, 2


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    args = _parser().parse_args(words)
    try:
        key = key_of(args.key_file, "--key-file") if args.key_file else b""
        return int(args.run(args, key))
    except (ConfigError, OSError) as exc:
        print(f"glance-audit: {exc}", file=sys.stderr)
        return TROUBLE


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="glance-audit", description='Look at an audit trail that the notifier "audit" has written.'
    )
    made.add_argument("--json", action="store_true", help="print JSON")
    actions = made.add_subparsers(required=True, metavar="ACTION")
    verify = actions.add_parser(
        "verify",
        help="see that every line is what was written, and that none is missing between the first and the last",
        description=f"Exit code 0: it is whole; {BROKEN}: it is not; {TROUBLE}: it could not be looked at.",
    )
    verify.add_argument(
        "--end",
        action="append",
        default=[],
        metavar="SEQ:MAC",
        help=(
            "what an earlier verify has told as the end: that line must be there, so nothing was cut off since then"
            " (may be given several times)"
        ),
    )
    verify.set_defaults(run=_verify)
    show = actions.add_parser("show", help="the lines of a user, a project or an image, in order")
    for name in ("user", "project", "subject", "type"):
        show.add_argument(f"--{name}", help=f"only those with this {name}")
    show.set_defaults(run=_show)
    for each in (verify, show):
        each.add_argument("folder", type=Path)
        each.add_argument("--key-file", type=Path, help="the key that its lines were signed with")
    return made


def _verify(args: argparse.Namespace, key: bytes) -> int:
    count, first, last, wanted = 0, None, None, set(args.end)
    why = None
    try:
        for line in verified(_folder(args), key):
            count, first, last = count + 1, first or line, line
            wanted.discard(str(line.link))
        if wanted:
            why = f"a line is missing that was there: {min(wanted)}"
    except Broken as exc:
        why = _why(exc, key)
    found = {
        "whole": why is None,
        "why": why,
        "lines": count,
        "first": first.link.seq if first else None,
        "end": str(last.link) if last else None,
    }
    if args.json:
        print(json.dumps(found))
    elif why is not None:
        print(f"NOT whole: {why} ({count} lines before that are)")
    else:
        print(f"whole: {count} lines, from {found['first']} on; end {found['end']}")
    return 0 if why is None else BROKEN


def _why(exc: Broken, key: bytes) -> str:
    return str(exc) if key else f"{exc}; no --key-file was given"


def _show(args: argparse.Namespace, key: bytes) -> int:
    try:
        for line in verified(_folder(args), key):
            if _asked(line, args):
                print(json.dumps(line.content) if args.json else _text(line))
    except Broken as exc:
        print(f"glance-audit: NOT whole: {_why(exc, key)}", file=sys.stderr)
        return BROKEN
    return 0


def _folder(args: argparse.Namespace) -> Path:
    folder: Path = args.folder
    if not files(folder):
        raise ConfigError(f"{folder}: there is no trail; name the folder of [notify_audit]")
    return folder


def _who(line: Line) -> dict[str, object]:
    found = line.content.get("who")
    return found if isinstance(found, dict) else {}


def _asked(line: Line, args: argparse.Namespace) -> bool:
    who = _who(line)
    return all(
        wanted in (None, have)
        for wanted, have in (
            (args.user, who.get("user")),
            (args.project, who.get("project")),
            (args.subject, line.content.get("subject")),
            (args.type, line.content.get("type")),
        )
    )


def _text(line: Line) -> str:
    """One line, whatever names hold."""
    who, content = _who(line), line.content
    by = (
        f"{who.get('user') or '-'} of {who.get('project') or '-'} from {who.get('address') or '-'}"
        if who
        else "the service itself"
    )
    found = (
        f"{line.link.seq} {content.get('at')} {content.get('type')} {content.get('subject')} by {by}:"
        f" {who.get('request') or '-'} {who.get('request_id') or '-'}"
    )
    return "".join(x if x.isprintable() else repr(x)[1:-1] for x in found)
