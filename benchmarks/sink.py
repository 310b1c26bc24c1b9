"""The sink: nginx with one worker, answering 200 to every POST, in clear and over TLS.

Faster than any client here, so that the client is what is measured. Needs Debian's `nginx-light` (and, for the
comparison, `wrk`); a certificate of its own is made for each run.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.certificate import make_certificate
from local.stack.checkout import free_port, port_taken
from local.stack.processes import spawn, wait_until_up

_CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{clear}; location / {{ return 200; }} }}
  server {{
    listen 127.0.0.1:{tls} ssl; ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;
    location / {{ return 200; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Sink:
    """A running sink. `authority`: the certificate to trust."""

    clear: str
    tls: str
    authority: Path


def needed(*programs: str) -> None:
    """End the benchmark with advice where a program is missing."""
    packages = {"nginx": "nginx-light", "wrk": "wrk"}
    missing = [packages[p] for p in programs if _find(p) is None]
    if missing:
        sys.exit(f"this benchmark needs {' and '.join(programs)}: apt-get install {' '.join(missing)}")


def _find(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin")


@contextmanager
def running() -> Iterator[Sink]:
    """A sink on free ports of the loopback interface."""
    needed("nginx")
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker is another user where its master is root
        make_certificate(folder)
        clear, tls = free_port(), free_port()
        (folder / "nginx.conf").write_text(_CONFIGURATION.format(folder=folder, clear=clear, tls=tls))
        nginx = spawn(
            "nginx", [_find("nginx") or "nginx", "-c", str(folder / "nginx.conf")], {}, folder / "log", folder
        )

        def answers() -> None:
            if not port_taken(tls):
                raise ConnectionError

        wait_until_up(nginx, answers, 10, "look at what nginx says")
        try:
            yield Sink(f"http://127.0.0.1:{clear}/prod", f"https://127.0.0.1:{tls}/prod", folder / "certificate.pem")
        finally:
            nginx.stop()
