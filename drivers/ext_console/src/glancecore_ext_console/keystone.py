"""Logging in at Keystone. The session keeps the token, never the password; it ends with it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from keystoneauth1 import exceptions
from keystoneauth1 import session as keystone_session
from keystoneauth1.exceptions.auth import MissingAuthMethods
from keystoneauth1.identity import v3

from glancecore.domain import errors
from glancecore.domain.errors import ConfigError
from glancecore.ports.auth import TokenService
from glancecore.ports.extension import Kernel
from glancecore.ports.options import Section
from glancecore.sdk.attempts import Attempts
from glancecore_ext_console.sessions import Login, Named, Session
from glancecore_ext_console.ways import Field, Method, Way

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from keystoneauth1.access import AccessInfo

LOG = logging.getLogger(__name__)
#: Keystone tells of a token whose credential is for some requests only to nobody else.
_RULES_KNOWN = {"OpenStack-Identity-Access-Rules": "1.0"}
_WRONG = "the user or the password is wrong, or there is no such project for this user"


class KeystoneWay(Way):
    def __init__(self, kernel: Kernel, conf: Section) -> None:
        super().__init__(kernel)
        self._domain = conf.default_domain
        self.protocols: Mapping[str, str] = conf.websso_protocols
        self._attempts = Attempts(conf.attempts_per_user, conf.attempts_per_address)
        self._made: tuple[TokenService, keystone_session.Session] | None = None

    def methods(self) -> Sequence[Method]:
        return [
            Method(
                "password",
                "User and password",
                (
                    Field("username", "User"),
                    Field("password", "Password", secret=True),
                    Field("user_domain", "Domain", value=self._domain),
                    Field("project", "Project", required=False),
                    Field("project_domain", "Domain of the project", required=False, value=self._domain),
                ),
            ),
            Method(
                "application_credential",
                "Application credential",
                (
                    Field("application_credential_id", "ID"),
                    Field("application_credential_secret", "Secret", secret=True),
                ),
            ),
            *(Method("websso", label, path=f"websso/{protocol}") for protocol, label in self.protocols.items()),
        ]

    def login(self, environ: WSGIEnvironment, method: str, fields: Mapping[str, str]) -> Login:
        if method == "application_credential":
            name = fields.get("application_credential_id", "")
            with self._counted(environ, name, "the application credential or its secret is wrong"):
                access = self._lasting(
                    v3.ApplicationCredential(
                        self._url,
                        application_credential_id=name,
                        application_credential_secret=fields.get("application_credential_secret", ""),
                    )
                )
            return self._of(method, access, [])  # its token is good for one project
        user, domain = fields.get("username", ""), fields.get("user_domain") or self._domain
        with self._counted(environ, f"{domain}\n{user}", _WRONG):
            project = fields.get("project") or None
            access = self._lasting(
                v3.Password(
                    self._url,
                    username=user,
                    password=fields.get("password", ""),
                    user_domain_name=domain,
                    project_name=project,
                    project_domain_name=(fields.get("project_domain") or self._domain) if project else None,
                )
            )
        return self._in_a_project(method, access)

    def login_with(self, environ: WSGIEnvironment, token: str) -> Login:
        """By a token that Keystone itself has sent. Raises NotAuthenticated, TooManyAttempts, IdentityUnavailable,
        Forbidden."""
        with self._counted(
            environ, f"websso\n{environ.get('REMOTE_ADDR')}", "Keystone does not know this login; begin it again"
        ):
            access = self._access(v3.Token(self._url, token))
        return self._in_a_project("websso", access)

    def rescope(self, session: Session, project_id: str) -> Login:
        """Raises Forbidden, IdentityUnavailable."""
        login = session.login
        if project_id not in {x.id for x in login.projects}:
            raise errors.Forbidden("project: you have no role in it")
        try:
            with self._told("Keystone does not let you into this project any more"):
                access = self._access(v3.Token(self._url, login.credentials["X-Auth-Token"], project_id=project_id))
        except errors.NotAuthenticated as exc:
            raise errors.Forbidden(str(exc)) from exc
        return self._of(login.method, access, self._projects(access))

    def end(self, session: Session) -> None:
        """The token is good for nothing any more."""
        token = session.login.credentials["X-Auth-Token"]
        try:
            self._session.delete(
                f"{self._url}/auth/tokens",
                authenticated=False,
                headers={"X-Auth-Token": token, "X-Subject-Token": token},
            )
        except exceptions.ClientException as exc:
            LOG.info("a token of a session that has ended can't be revoked: %s", type(exc).__name__)

    def websso_url(self, protocol: str) -> str:
        """Where Keystone begins a login by that protocol, as browsers reach it; without the address of who wants it."""
        return f"{_v3(self._service[0].public_url)}/auth/OS-FEDERATION/websso/{protocol}"

    # -- inside ------------------------------------------------------------------------------------
    @property
    def _service(self) -> tuple[TokenService, keystone_session.Session]:
        if self._made is None:
            service = self.kernel.identity.token_service
            if service is None:
                raise ConfigError(
                    "[DEFAULT] auth_strategy: its plugin does not say where tokens are had; choose keystone there, or"
                    " take console out of enabled_extensions"
                )
            self._made = (
                service,
                keystone_session.Session(verify=service.verify, cert=service.cert, timeout=service.timeout),
            )
        return self._made

    @property
    def _url(self) -> str:
        return _v3(self._service[0].url)

    @property
    def _session(self) -> keystone_session.Session:
        return self._service[1]

    def _access(self, plugin: v3.Auth) -> AccessInfo:
        return plugin.get_auth_ref(self._session)

    def _lasting(self, plugin: v3.Auth) -> AccessInfo:
        """Keystone counts in whole seconds: who has his tokens taken back, because his password changed or somebody
        locked him out for a moment, loses those that he gets in the rest of that second, too. One of the next second
        lasts."""
        access = self._access(plugin)
        token = str(access.auth_token)
        headers = {"X-Auth-Token": token, "X-Subject-Token": token, **_RULES_KNOWN}
        try:
            self._session.get(f"{self._url}/auth/tokens", authenticated=False, headers=headers)
        except (exceptions.http.Unauthorized, exceptions.http.NotFound):
            LOG.info("Keystone has taken back a token of this second; asking for another in the next")
            time.sleep(1)
            access = self._access(plugin)
        except exceptions.http.Forbidden:
            LOG.debug("Keystone's policy does not let people look at their own tokens")
        return access

    def _in_a_project(self, method: str, access: AccessInfo) -> Login:
        """In the one that the token is for, or the first one of the user's."""
        projects = self._projects(access)
        if access.project_id is None:
            if not projects:
                raise errors.Forbidden("you have no role in any project; ask an administrator for one")
            with self._told("Keystone does not let you into your project"):
                access = self._access(v3.Token(self._url, str(access.auth_token), project_id=projects[0].id))
        return self._of(method, access, projects)

    def _projects(self, access: AccessInfo) -> list[Named]:
        with self._told("Keystone does not say which projects you have"):
            found = self._session.get(
                f"{self._url}/auth/projects", authenticated=False, headers={"X-Auth-Token": access.auth_token}
            ).json()
        return sorted(
            (Named(str(x["id"]), str(x["name"])) for x in found["projects"] if x.get("enabled", True)),
            key=lambda x: x.name,
        )

    def _of(self, method: str, access: AccessInfo, projects: Sequence[Named]) -> Login:
        project = Named(str(access.project_id), str(access.project_name))
        return Login(
            method,
            Named(str(access.user_id), str(access.username)),
            project,
            projects or [project],
            sorted(x.lower() for x in access.role_names or ()),
            {"X-Auth-Token": str(access.auth_token)},
            access.expires,
        )

    @contextlib.contextmanager
    def _counted(self, environ: WSGIEnvironment, user: str, wrong: str) -> Iterator[None]:
        """Raises TooManyAttempts."""
        address = environ.get("REMOTE_ADDR") or ""
        try:
            with self._attempts.one(address, user), self._told(wrong):
                yield
        except errors.NotAuthenticated:
            LOG.info("wrong login at Keystone from %s", address or "a Unix socket")
            raise

    @contextlib.contextmanager
    def _told(self, wrong: str) -> Iterator[None]:
        """What Keystone says, in the words of people. Raises NotAuthenticated, TooManyAttempts, IdentityUnavailable."""
        try:
            yield
        except MissingAuthMethods as exc:
            raise errors.NotAuthenticated(
                "this user must prove who he is in several ways: use an application credential, or log in by your"
                " company's account"
            ) from exc
        except exceptions.http.TooManyRequests as exc:
            raise errors.TooManyAttempts("Keystone takes no more logins at the moment; try again in a minute") from exc
        except exceptions.http.HTTPClientError as exc:
            raise errors.NotAuthenticated(wrong) from exc
        except exceptions.ClientException as exc:
            LOG.warning("Keystone can't be asked for people who log in to the console: %s", exc)
            raise errors.IdentityUnavailable("Keystone does not answer at the moment; try again in a while") from exc


def _v3(url: str) -> str:
    bare = url.rstrip("/")
    return bare if bare.endswith("/v3") else f"{bare.removesuffix('/v2.0')}/v3"
