"""A real nginx on free ports, as root or not, that can be killed and started again."""

import os
import socket
import subprocess
import time
from pathlib import Path

import lab

CONFIG = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile off;  # sendfile would send zeros for a file that is cut while it is under way
  default_type application/octet-stream;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port}; listen 127.0.0.1:{tls_port} ssl;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    root {folder}/www;
    location /norange/ {{ alias {folder}/www/; max_ranges 0; }}
    location /nohead/ {{ alias {folder}/www/; if ($request_method = HEAD) {{ return 405; }} }}
    location ~ ^/hop/0/(.*)$ {{ return 302 /$1; }}
    location ~ ^/hop/1/(.*)$ {{ return 301 /hop/0/$1; }}
    location ~ ^/hop/2/(.*)$ {{ return 307 /hop/1/$1; }}
    location ~ ^/hop/3/(.*)$ {{ return 308 /hop/2/$1; }}
    location ~ ^/hop/4/(.*)$ {{ return 303 /hop/3/$1; }}
    location ~ ^/hop/5/(.*)$ {{ return 302 /hop/4/$1; }}
    location = /to {{ return 302 $arg_url; }}
    {statuses}
  }}
}}
"""


class Nginx:
    def __init__(self, folder: Path):
        self.folder, self.www = folder, folder / "www"
        self.www.mkdir()
        self.port, self.tls_port = lab.free_port(), lab.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.tls_url = f"https://localhost:{self.tls_port}"
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
                "-days",
                "2",
                "-keyout",
                folder / "key.pem",
                "-out",
                folder / "cert.pem",
            ],
            check=True,
            capture_output=True,
        )
        statuses = "".join(
            f"location = /status/{status} {{ return {status}; }}\n" for status in (401, 403, 404, 410, 500, 503)
        )
        (folder / "nginx.conf").write_text(
            CONFIG.format(
                folder=folder,
                port=self.port,
                tls_port=self.tls_port,
                statuses=statuses,
                user="user root;" if os.geteuid() == 0 else "",
            )
        )
        subprocess.run([*self.command, "-t", "-q"], check=True)
        self.process = None

    @property
    def command(self):
        return ["/usr/sbin/nginx", "-p", self.folder, "-c", self.folder / "nginx.conf"]

    def start(self):
        if self.process is None:
            self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 10
            while not self.answers():
                assert time.monotonic() < deadline, "nginx does not start"
                time.sleep(0.02)

    def answers(self):
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process is not None:
            self.process.terminate()  # at once: connections are cut
            self.process.wait()
            self.process = None
