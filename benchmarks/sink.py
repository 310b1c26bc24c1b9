"""The receiver of posts: nginx with one worker, which responds 200 to every POST, with and without TLS.

It is faster than every client here, so that the client is measured. It needs Debian's `nginx-light` (and, for the
comparison, `wrk`). Each run has a new certificate. Quick runs use a Python process instead of nginx, which needs no
installation.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from benchmarks.certificate import make_certificate
from benchmarks.http_server import listen
from local.stack.checkout import PYTHON, ROOT, free_port, port_taken
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
    """A running sink: its two URLs, and the certificate to trust."""

    clear: str
    tls: str
    authority: Path


def needed(*programs: str) -> None:
    """Exit with advice if a program is missing."""
    packages = {"nginx": "nginx-light", "wrk": "wrk"}
    missing = [packages[p] for p in programs if _find(p) is None]
    if missing:
        sys.exit(f"this benchmark needs {' and '.join(programs)}: apt-get install {' '.join(missing)}")


def _find(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin")


@contextmanager
def running(*, quick: bool = False) -> Iterator[Sink]:
    """Run a sink on free ports of the loopback interface: nginx or, if `quick`, a Python process in its place."""
    if not quick:
        needed("nginx")
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker runs as another user if the master is root
        make_certificate(folder)
        clear, tls = free_port(), free_port()
        if quick:
            command = [PYTHON, "-m", "benchmarks.sink", str(clear), str(tls), str(folder)]
            server = spawn("sink", command, {"PYTHONPATH": str(ROOT)}, folder / "log", ROOT)
        else:
            (folder / "nginx.conf").write_text(_CONFIGURATION.format(folder=folder, clear=clear, tls=tls))
            command = [_find("nginx") or "nginx", "-c", str(folder / "nginx.conf")]
            server = spawn("nginx", command, {}, folder / "log", folder)

        def answers() -> None:
            if not port_taken(tls):
                raise ConnectionError

        wait_until_up(server, answers, 10, f"read {folder / 'log'}")
        try:
            yield Sink(f"http://127.0.0.1:{clear}/prod", f"https://127.0.0.1:{tls}/prod", folder / "certificate.pem")
        finally:
            server.stop()


async def _serve(clear: int, tls: int, folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    servers = [await listen(clear, _accept), await listen(tls, _accept, context)]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _accept(_operation: str, _body: bytes) -> tuple[int, bytes]:
    return 200, b""


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
