"""AWS Signature Version 4 for the asynchronous client, tested against botocore's signer.

Source: AWS General Reference, "Create a signed AWS API request" (SigV4). Values that several requests share are
computed once: the key of a day, the header lines of a second, the hash of a payload. A request then costs one SHA-256
and one HMAC.
"""

from __future__ import annotations

import hmac
import os
import re
from dataclasses import dataclass
from hashlib import sha256
from time import gmtime, strftime
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_BLOCK = 64
_UNRESERVED = "-_.~"
_PLAIN = re.compile(r"[A-Za-z0-9_.~=-]+")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key as Lambda passes it to a function."""

    access_key: str
    secret_key: str
    token: str = ""

    @classmethod
    def from_environment(cls) -> Credentials:
        """Return the credentials of this execution environment. Lambda may change them between invocations."""
        return cls(
            os.environ["AWS_ACCESS_KEY_ID"],
            os.environ["AWS_SECRET_ACCESS_KEY"],
            os.environ.get("AWS_SESSION_TOKEN", ""),
        )


def payload_hash(body: bytes) -> str:
    """Return the SHA-256 of a body in hex. It is computed once for all posts of the body."""
    return sha256(body).hexdigest()


def encode_segment(text: str) -> str:
    """Percent-encode a path segment for the request line. Unreserved characters (RFC 3986) stay."""
    if _PLAIN.fullmatch(text):  # most of API Gateway's connection ids
        return text.replace("=", "%3D")
    return quote(text, safe=_UNRESERVED)


class Signer:
    """Makes the signed heads of POST requests to one host of one service.

    `extra`: further headers that every request carries and signs, with lower-case names in alphabetical order.
    """

    def __init__(
        self, credentials: Credentials, region: str, service: str, host: str, extra: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.credentials = credentials
        self._scope = (region, service, "aws4_request")
        self._host = host
        self._extra = extra
        self._second = -1
        self._date = ""
        self._inner = self._outer = sha256()
        self._canonical = self._to_sign = self._lines = ""

    def head(self, path: str, body_hash: str, now: float) -> str:
        """Return the request line and the headers through the signature, without the line end after it.

        `path` is encoded as in the request line: unreserved characters, `/`, `@` and percent-encoded characters,
        without a query. `now`: seconds since the epoch. The body is signed through its hash; Content-Length is not
        signed.
        """
        if int(now) != self._second:
            self._begin_second(int(now))
        # Every service but S3 signs the path encoded a second time. Only these two characters can still need it.
        encoded = path.replace("%", "%25").replace("@", "%40")
        canonical = sha256(f"POST\n{encoded}{self._canonical}{body_hash}".encode()).hexdigest()
        # HMAC (RFC 2104) from two prepared hashes takes half the time of `hmac.digest`, which prepares them each time.
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(f"{self._to_sign}{canonical}".encode())
        outer.update(inner.digest())
        return f"POST {path}{self._lines}{outer.hexdigest()}"

    def _begin_second(self, second: int) -> None:
        self._second = second
        stamp = strftime("%Y%m%dT%H%M%SZ", gmtime(second))
        date = stamp[:8]
        if date != self._date:
            self._begin_day(date)
        token = self.credentials.token
        signed = [*self._extra, ("host", self._host), ("x-amz-date", stamp)]
        if token:
            signed.append(("x-amz-security-token", token))
        signed.sort()
        names = ";".join(name for name, _ in signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed)
        scope = "/".join((date, *self._scope))
        self._canonical = f"\n\n{lines}\n{names}\n"
        self._to_sign = f"{_ALGORITHM}\n{stamp}\n{scope}\n"
        sent = "".join(f"{name}: {value}\r\n" for name, value in signed)
        self._lines = (
            f" HTTP/1.1\r\n{sent}authorization: {_ALGORITHM} Credential={self.credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature="
        )

    def _begin_day(self, date: str) -> None:
        key = b"AWS4" + self.credentials.secret_key.encode()
        for part in (date, *self._scope):
            key = hmac.digest(key, part.encode(), "sha256")
        self._date = date
        block = key.ljust(_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))
