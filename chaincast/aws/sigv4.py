"""AWS Signature Version 4 for the hot calls; tested against botocore's signer.

Source: AWS General Reference, "Create a signed AWS API request" (SigV4). Nothing of it is per connection or per
message but one SHA-256 and one HMAC: the day's signing key is derived once, a payload's hash is the caller's to share.
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass
from hashlib import sha256
from time import gmtime, strftime
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key as Lambda hands it to a function."""

    access_key: str
    secret_key: str
    token: str = ""

    @classmethod
    def from_environment(cls) -> Credentials:
        """The credentials of this execution environment; read again for each invocation, as Lambda may change them."""
        return cls(
            os.environ["AWS_ACCESS_KEY_ID"],
            os.environ["AWS_SECRET_ACCESS_KEY"],
            os.environ.get("AWS_SESSION_TOKEN", ""),
        )


def payload_hash(body: bytes) -> str:
    """The body's SHA-256 as hex; one for all posts of one payload."""
    return sha256(body).hexdigest()


def encode_segment(text: str) -> str:
    """A path segment percent-encoded as it goes on the wire (RFC 3986 unreserved characters stay)."""
    return quote(text, safe=_UNRESERVED)


class Signer:
    """Signs requests of one service in one region with one set of credentials."""

    def __init__(self, credentials: Credentials, region: str, service: str) -> None:
        self.credentials = credentials
        self._scope_tail = f"{region}/{service}/aws4_request"
        self._parts = (region, service, "aws4_request")
        self._date = ""
        self._key = b""

    def headers(
        self,
        method: str,
        host: str,
        path: str,
        body_hash: str,
        now: float,
        extra: tuple[tuple[str, str], ...] = (),
    ) -> str:
        """The header lines `X-Amz-Date`, `X-Amz-Security-Token` (if any) and `Authorization`, each with CRLF.

        `path` is percent-encoded as on the wire, with no query; `extra` are further headers to sign, lower-case names
        in alphabetical order, that the caller sends itself; `now` is in seconds since the epoch.
        """
        stamp = strftime("%Y%m%dT%H%M%SZ", gmtime(now))
        token = self.credentials.token
        signed = [*extra, ("host", host), ("x-amz-date", stamp)]
        if token:
            signed.append(("x-amz-security-token", token))
        signed.sort()
        names = ";".join(name for name, _ in signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed)
        # Every service but S3 wants the path encoded a second time.
        canonical = f"{method}\n{quote(path, safe='/-_.~')}\n\n{lines}\n{names}\n{body_hash}"
        scope = f"{stamp[:8]}/{self._scope_tail}"
        text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._signing_key(stamp[:8]), text.encode(), "sha256").hex()
        token_line = f"X-Amz-Security-Token: {token}\r\n" if token else ""
        return (
            f"X-Amz-Date: {stamp}\r\n{token_line}Authorization: {_ALGORITHM} Credential="
            f"{self.credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}\r\n"
        )

    def _signing_key(self, date: str) -> bytes:
        if date != self._date:
            key = b"AWS4" + self.credentials.secret_key.encode()
            for part in (date, *self._parts):
                key = hmac.digest(key, part.encode(), "sha256")
            self._date, self._key = date, key
        return self._key
