"""With a real Keystone: what the service asks it is part of the request, and no token is told."""

from __future__ import annotations

import secrets

import lab
import requests
from client import Client
from collector import collecting
from keystoneauth1 import session
from keystoneauth1.identity import v3
from requests_traced import CLIENT, SERVER, below, new_trace, traced


def test_a_token_that_is_looked_up_is_part_of_the_request() -> None:
    url, port = lab.keystone().url, lab.free_port()
    token = session.Session(
        v3.Password(
            auth_url=url,
            username="demo",
            password="secret",
            user_domain_id="default",
            project_name="demo",
            project_domain_id="default",
        )
    ).get_token()
    with collecting() as collector:
        config = lab.merged(
            traced(collector), lab.keystone_config(f"traces-{secrets.token_hex(4)}", f"http://127.0.0.1:{port}")
        )
        with lab.service(config, port=port) as made:
            trace, headers = new_trace()
            answer = requests.get(f"{made.url}/v2/images", headers={**headers, "X-Auth-Token": str(token)}, timeout=60)
            assert answer.status_code == 200, answer.text
            [top] = collector.until(trace, "GET /v2/images")
            assert top.kind == SERVER
            asked = [
                x
                for x in below(collector.of(trace), top)
                if str(x.attributes.get("url.full", "")).endswith("/auth/tokens")
            ]
            assert asked
            assert {x.kind for x in asked} == {CLIENT}
            assert asked[0].attributes["http.response.status_code"] in (200, 201)
            unknown, headers = new_trace()
            assert (
                Client(made.url)
                .call("GET", "/v2/images", headers={**headers, "X-Auth-Token": "unknown-token"})
                .status_code
                == 401
            )
            collector.until(unknown, "GET")
        told = str(collector.spans)
        assert str(token) not in told
        assert "unknown-token" not in told
        assert "secret" not in told
