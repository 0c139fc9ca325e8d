"""The operator's policy files: read whole, checked whole, and used only when they are right."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from oslo_config import cfg
from oslo_policy import _checks, _parser, policy

from glancecore.domain.errors import ConfigError

#: Rules of Glance 33 that nothing asks for here: a file that has them is no mistake.
GLANCES_OWN = frozenset({"manage_image_cache", "modify_task"})
Fingerprint = tuple[tuple[str, int, int, int], ...]


class RuleFiles:
    """``defaults``: every rule that somebody asks for. ``idle``: what rules begin with that an extension would ask for
    which is installed but not enabled."""

    def __init__(self, conf: cfg.ConfigOpts, defaults: Sequence[policy.RuleDefault], idle: Sequence[str] = ()) -> None:
        policy.Enforcer(conf)  # registers oslo.policy's options
        self._conf = conf
        self._defaults = list(defaults)
        self._idle = tuple(idle)

    def fingerprint(self) -> Fingerprint:
        """Changes when a file does, appears or goes."""
        found = []
        for path in self._paths():
            try:
                stat = path.stat()
            except OSError:
                continue
            found.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
        return tuple(found)

    def load(self) -> policy.Enforcer:
        """An enforcer of the rules as they are in the files now. Raises ConfigError naming the file, the rule and the
        mend."""
        for path in self._paths():
            if path.exists():
                self._check(path)
        enforcer = policy.Enforcer(self._conf)
        enforcer.suppress_default_change_warnings = True
        enforcer.register_defaults(self._defaults)
        try:
            enforcer.load_rules()
            enforcer.check_rules(raise_on_violation=True)
        except policy.InvalidDefinitionError as exc:
            raise ConfigError(
                f"[oslo_policy] policy_file: {exc}; each names a rule that is not defined, or itself; fix these rules"
                " in the file"
            ) from exc
        except (OSError, ValueError, cfg.Error) as exc:
            raise ConfigError(f"[oslo_policy] policy_file: {exc}; correct the file") from exc
        self._check_names(enforcer)
        enforcer.use_conf = False  # or it would read the files again by itself, at any time
        return enforcer

    # -- inside ------------------------------------------------------------------------------------
    def _paths(self) -> list[Path]:
        """Raises ConfigError for a file that the operator has named and that is not there."""
        options = self._conf.oslo_policy
        found = self._conf.find_file(options.policy_file)
        told = self._conf.get_location("policy_file", "oslo_policy")
        if found is None and told is not None and told.location.is_user_controlled:
            raise ConfigError(
                f"[oslo_policy] policy_file = {options.policy_file}: there is no such file; create it, or take the"
                " option out"
            )
        paths = [Path(found)] if found else []
        for name in options.policy_dirs:
            folder = self._conf.find_file(name)
            if folder:
                paths += sorted(x for x in Path(folder).iterdir() if x.is_file() and not x.name.startswith("."))
        return paths

    def _check(self, path: Path) -> None:
        where = f"[oslo_policy] policy file {path}"
        try:
            texts: object = policy.parse_file_contents(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"{where}: can't be read: {exc}; let the service read it, or name another file") from exc
        except ValueError as exc:
            raise ConfigError(f"{where}: is no YAML: {exc}; correct the file") from exc
        if not isinstance(texts, Mapping):
            raise ConfigError(f'{where}: has no rules; write a line "name": "rule" for each')
        for name, text in texts.items():
            if not isinstance(name, str) or not isinstance(text, str):
                raise ConfigError(f"{where}: {name}: a rule is a text; put it in quotation marks")
            if isinstance(_parser.parse_rule(text), _checks.FalseCheck) and text.strip() != "!":
                raise ConfigError(
                    f"{where}: {name}: {text!r} can't be understood; see oslo.policy's syntax, and write \"!\" for"
                    " nobody"
                )

    def _check_names(self, enforcer: policy.Enforcer) -> None:
        """A name that nobody asks for, here or in another rule, is a typing error: the rule that was meant keeps its
        default."""
        asked = {x.name for x in self._defaults}
        used: set[str] = set()
        for check in enforcer.rules.values():
            _collect(check, used)
        for name in enforcer.file_rules:
            if name not in asked and name not in used and name not in GLANCES_OWN and not name.startswith(self._idle):
                near = difflib.get_close_matches(name, asked, n=1)
                hint = f"did you mean {near[0]}?" if near else "take it out, or name it in another rule"
                raise ConfigError(f"[oslo_policy] policy_file: {name}: nothing asks for a rule of this name; {hint}")


def _collect(check: object, names: set[str]) -> None:
    """The rules that it names."""
    if isinstance(check, _checks.RuleCheck):
        names.add(check.match)
    elif isinstance(check, (_checks.AndCheck, _checks.OrCheck)):
        for inner in check.rules:
            _collect(inner, names)
    elif isinstance(check, _checks.NotCheck):
        _collect(check.rule, names)
