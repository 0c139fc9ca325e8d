"""The session's cookie: an id that nobody can guess, for this site alone, which no script can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.http import parse_cookie

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from flask import Response

SESSION, WEBSSO = "glancecore-console", "glancecore-websso"


def _named(environ: WSGIEnvironment, name: str) -> str:
    """Over TLS no other host of the domain can set it."""
    return f"__Host-{name}" if environ.get("wsgi.url_scheme") == "https" else name


def read(environ: WSGIEnvironment, name: str = SESSION) -> str | None:
    return parse_cookie(environ).get(_named(environ, name))


def give(environ: WSGIEnvironment, response: Response, value: str) -> None:
    response.set_cookie(
        _named(environ, SESSION),
        value,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=environ.get("wsgi.url_scheme") == "https",
    )


def bind(environ: WSGIEnvironment, response: Response, value: str, seconds: int) -> None:
    """For a form that Keystone's page sends here: of all cookies only one with SameSite=None comes with it, and that
    one must be Secure."""
    response.set_cookie(
        _named(environ, WEBSSO), value, max_age=seconds, path="/", httponly=True, samesite="None", secure=True
    )


def take(environ: WSGIEnvironment, response: Response, name: str = SESSION) -> None:
    """The browser forgets it."""
    response.delete_cookie(
        _named(environ, name),
        path="/",
        httponly=True,
        samesite="Strict" if name == SESSION else "None",
        secure=name == WEBSSO or environ.get("wsgi.url_scheme") == "https",
    )
