"""The time to verify a client's token with a cached key.

Measured are HS256 with a shared secret, and RS256, ES256 and EdDSA with an issuer's public keys. A connection verifies
its token once.
"""

from __future__ import annotations

import json
import sys
import time
from time import perf_counter
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from benchmarks.report import finish, parser, show
from chaincast.auth.jwks import JwksCache
from chaincast.auth.jwt import JwksKey, JwtAuthenticator, SharedSecretKey

ROUNDS = 3
CHECKS = 2_000
SECRET = "s" * 64


def main() -> int:
    arguments = parser(__doc__).parse_args()
    found: dict[str, float] = {}
    for name, (tokens, token) in _cases().items():
        found[name] = min(_measure(tokens, token, 50 if arguments.quick else CHECKS) for _ in range(ROUNDS))
    rows = [[name, f"{microseconds:.0f}", f"{1e6 / microseconds:,.0f}"] for name, microseconds in found.items()]
    show(f"checking a token (best of {ROUNDS} × {CHECKS:,})", ["algorithm", "µs", "a second"], rows)
    finish(arguments, found)
    return 0


def _cases() -> dict[str, tuple[JwtAuthenticator, str]]:
    keys: dict[str, Any] = {
        "RS256": rsa.generate_private_key(65537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    algorithms: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
    served = [{**json.loads(algorithms[name].to_jwk(key.public_key())), "kid": name} for name, key in keys.items()]
    issued = JwtAuthenticator(JwksKey(JwksCache(lambda: {"keys": served})))
    claims = {"sub": "user-123", "email": "user@example.com", "exp": int(time.time()) + 3600}
    cases = {"HS256": (JwtAuthenticator(SharedSecretKey(lambda: SECRET)), jwt.encode(claims, SECRET, "HS256"))}
    for name, key in keys.items():
        cases[name] = (issued, jwt.encode(claims, key, name, {"kid": name}))
    return cases


def _measure(tokens: JwtAuthenticator, token: str, checks: int) -> float:
    tokens.authenticate(token)
    started = perf_counter()
    for _ in range(checks):
        tokens.authenticate(token)
    return (perf_counter() - started) / checks * 1e6


if __name__ == "__main__":
    sys.exit(main())
