"""The image service, asked by openstacksdk's adapter: it brings the endpoint, the identity and fresh tokens, and the
trust in certificates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import requests
from keystoneauth1.adapter import Adapter

#: Seconds for a connection, and between two bytes of an answer. The last piece of an upload may be looked at for a
#: while.
TIMEOUT = (20.0, 120.0)


class ServiceError(Exception):
    """What the service has refused, in its words. ``status``: of the answer."""

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        #: Seconds that it asks to wait.
        self.retry_after = retry_after


def sentence(exc: Exception) -> str:
    """What is told of it: of a file its name and what is the matter, without the number of the error."""
    return (
        f"{exc.filename}: {exc.strerror}"
        if isinstance(exc, OSError) and exc.filename is not None and exc.strerror
        else str(exc)
    )


class Service:
    """Thread-safe, as its adapter is."""

    def __init__(self, image: Adapter) -> None:
        self._image = image
        self.root = str(image.get_endpoint()).rstrip("/").removesuffix("/v2")
        self._extensions: frozenset[str] | None = None

    @property
    def project(self) -> str:
        """The caller's, or no text where there is none."""
        return str(self._image.get_project_id() or "")

    def has(self, extension: str) -> bool:
        """Whether the service has it switched on; a service of another make has none. Raises ServiceError."""
        if self._extensions is None:
            answer = self.ask("GET", "/v2/info/extensions")
            none = answer.status_code == 404
            self._extensions = (
                frozenset() if none else frozenset(str(x["name"]) for x in good(answer).json()["extensions"])
            )
        return extension in self._extensions

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        data: object = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, object] | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """Whatever the answer. ``path``: behind the service's root, or a whole URL. Raises what keystoneauth raises
        when there is no answer."""
        more: dict[str, Any] = {"stream": True} if stream else {}
        answer: requests.Response = self._image.session.request(
            path if path.startswith(("http://", "https://")) else self.root + path,
            method,
            auth=self._image.auth,
            json=json,
            data=data,
            headers={"Accept": "application/json", **(headers or {})},
            params=params,
            raise_exc=False,
            timeout=TIMEOUT,
            connect_retries=0,
            **more,
        )
        return answer

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        """Raises ServiceError unless it is answered well."""
        return good(self.ask(method, path, **more))

    def json(self, method: str, path: str, **more: Any) -> Any:
        return self.call(method, path, **more).json()

    def pages(
        self, path: str, key: str, params: Mapping[str, object] | None = None, most: int | None = None
    ) -> Iterable[dict[str, Any]]:
        """The rows of a list, page by page, as far as ``next`` leads; at most ``most``."""
        found, count = self.json("GET", path, params=params), 0
        while True:
            for row in found[key]:
                if most is not None and count >= most:
                    return
                count += 1
                yield row
            if not found.get("next"):
                return
            found = self.json("GET", found["next"])

    # -- what is named -----------------------------------------------------------------------------
    def image(self, name: str) -> dict[str, Any]:
        """By id, reference (``debian/13@stable``) or name. Raises ServiceError: 404, or 409 when several have the
        name."""
        answer = self.ask("GET", f"/v2/images/{quote(name)}")
        if answer.ok:
            return dict(answer.json())
        if answer.status_code != 404:
            good(answer)
        found = self.json("GET", "/v2/images", params={"name": name, "limit": 6})["images"]
        if len(found) == 1:
            return dict(found[0])
        ids = ", ".join([x["id"] for x in found[:5]] + ["…"] * (len(found) > 5))
        raise (
            ServiceError(409, f"several images have the name {name}; say the id: {ids}")
            if found
            else ServiceError(404, f"no image {name}")
        )

    def family(self, name: str) -> dict[str, Any]:
        """By name or id. Raises ServiceError."""
        found = self.json("GET", "/families", params={"name": name})["families"]
        if found:
            return dict(found[0])
        answer = self.ask("GET", f"/families/{quote(name, safe='')}")
        if answer.status_code == 404:
            raise ServiceError(404, f"no family {name}")
        return dict(good(answer).json())


def good(answer: requests.Response) -> requests.Response:
    """Raises ServiceError with the sentence of the answer."""
    if answer.ok:
        return answer
    try:
        said = str(answer.json()["message"])
    except (requests.JSONDecodeError, KeyError, TypeError):  # of a proxy, say
        said = f"{answer.status_code} {answer.reason}"
    wait = answer.headers.get("Retry-After", "")
    raise ServiceError(answer.status_code, said, float(wait) if wait.isdecimal() else None)
