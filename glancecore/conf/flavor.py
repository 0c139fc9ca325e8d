"""Glance's ``[paste_deploy] flavor``: one word for who callers are and whether images are cached."""

from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

from glancecore.domain.errors import ConfigError

#: Its words for the login -> ours.
LOGINS = {
    "keystone": "keystone",
    "trusted-auth": "headers",
    "noauth": "none",
    "none": "none",
    "basic": "basic",
    "headers": "headers",
    "http_basic_auth": "basic",
}
#: Its words for a pipeline with the cache; the second one has the calls that manage it as well, as here always.
CACHES = ("caching", "cachemanagement")

OPTIONS: dict[str, list[cfg.Opt]] = {
    "paste_deploy": [
        cfg.StrOpt(
            "flavor",
            help=(
                "Glance's word for the login and the cache, read for files that come from there: keystone,"
                " keystone+caching, keystone+cachemanagement, trusted-auth (auth_strategy = headers), caching,"
                " cachemanagement …. Without caching or cachemanagement in it images are not cached, whatever"
                " image_cache_dir says. Leave it out, and say auth_strategy and image_cache_dir."
            ),
        ),
        cfg.StrOpt(
            "config_file",
            help=(
                "Glance's file of pipelines. It is not read: what its filters do is chosen by options here. Filters in"
                " it that are not Glance's own are named at start."
            ),
        ),
    ],
}


@dataclass(frozen=True, slots=True)
class LoginAndCache:
    """``auth`` is the plugin's name; ``cached``: with the image cache."""

    auth: str
    cached: bool


def read(text: str) -> LoginAndCache:
    """Raises ConfigError for words that nobody knows: one of them may be what keeps callers out."""
    words = [x.strip() for x in text.split("+") if x.strip()]
    logins = [x for x in words if x not in CACHES]
    if len(logins) > 1 or any(x not in LOGINS for x in logins):
        raise ConfigError(
            f"[paste_deploy] flavor = {text}: {', '.join(x for x in logins if x not in LOGINS) or 'two logins'} is not"
            f" understood; write one of {', '.join(LOGINS)}, with +{' or +'.join(CACHES)} for the image cache, or"
            " remove it and set [DEFAULT] auth_strategy"
        )
    return LoginAndCache(LOGINS[logins[0]] if logins else "none", any(x in CACHES for x in words))


def apply(conf: cfg.ConfigOpts) -> None:
    """Let the flavor say what ``auth_strategy`` and the cache are. Raises ConfigError when the operator's other options
    contradict it."""
    if conf.paste_deploy.flavor is None:
        return
    flavor = read(conf.paste_deploy.flavor)
    said = conf.get_location("auth_strategy")
    if said is not None and said.location.is_user_controlled and conf.auth_strategy != flavor.auth:
        raise ConfigError(
            f"[DEFAULT] auth_strategy = {conf.auth_strategy} and [paste_deploy] flavor = {conf.paste_deploy.flavor},"
            f" which means {flavor.auth}, contradict each other; remove one of them"
        )
    conf.set_default("auth_strategy", flavor.auth)
    if flavor.cached and conf.image_cache_dir is None and conf.image_cache_driver == "file":
        raise ConfigError(
            f"[paste_deploy] flavor = {conf.paste_deploy.flavor} wants the image cache: set [DEFAULT] image_cache_dir"
            " to a folder on a local disk, or take the word out of the flavor"
        )
    if not flavor.cached:
        conf.set_override("image_cache_dir", None)
        conf.set_override("image_cache_driver", "file")
