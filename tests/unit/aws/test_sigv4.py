from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from chaincast.aws.fast.sigv4 import Credentials, Signer, encode_segment, payload_hash

# Not "." and "..": they would be no connection's path, but another.
connection_ids = st.text(alphabet="abcXYZ019=/+-_. @:~%é", min_size=1, max_size=24).filter(
    lambda s: s not in (".", "..")
)
secrets = st.text(alphabet="abcXYZ019/+=", min_size=16, max_size=40)


def botocore_authorization(
    credentials: Credentials, url: str, body: bytes, service: str, now: datetime, extra: dict[str, str]
) -> str:
    """Return the Authorization header that botocore's own signer makes for the same request."""
    request = AWSRequest(method="POST", url=url, data=body, headers=dict(extra))
    botocore_credentials = BotocoreCredentials(
        credentials.access_key, credentials.secret_key, credentials.token or None
    )
    with patch("botocore.auth.get_current_datetime", lambda: now):
        SigV4Auth(botocore_credentials, service, "eu-west-1").add_auth(request)
    return str(request.headers["Authorization"])


@settings(max_examples=300)
@given(
    connection_ids,
    st.binary(max_size=64),
    st.builds(Credentials, st.just("AKIDEXAMPLE"), secrets, st.sampled_from(["", "tok/en+=="])),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - given its zone below
    st.sampled_from(["execute-api", "dynamodb"]),
    st.booleans(),
)
def test_signatures_are_botocores(
    connection_id: str, body: bytes, credentials: Credentials, at: datetime, service: str, with_headers: bool
) -> None:
    now = at.replace(microsecond=0, tzinfo=UTC)
    extra = (("content-type", "application/x-amz-json-1.0"), ("x-amz-target", "A.Query")) if with_headers else ()
    path = f"/prod/@connections/{encode_segment(connection_id)}"
    signer = Signer(credentials, "eu-west-1", service, "api.example.com:8443", extra)
    ours = headers(signer.head(path, payload_hash(body), now.timestamp()))
    url = f"https://api.example.com:8443{path}"
    assert ours["authorization"] == botocore_authorization(credentials, url, body, service, now, dict(extra))
    assert ours.get("x-amz-security-token", "") == credentials.token
    assert ours["host"] == "api.example.com:8443"
    assert all(ours[name] == value for name, value in extra)


def headers(head: str) -> dict[str, str]:
    line, *rest = head.split("\r\n")
    assert line.startswith("POST /prod/@connections/")
    return dict(text.split(": ", 1) for text in rest)


def test_one_signer_serves_any_order_of_times_across_midnight() -> None:
    signer = Signer(Credentials("AKID", "secret"), "eu-west-1", "execute-api", "h")
    before = datetime(2026, 5, 31, 23, 59, 59, 900_000, tzinfo=UTC)
    after = datetime(2026, 6, 1, 0, 0, 0, tzinfo=UTC)
    for now in (before, before, after, after, before):
        head = signer.head("/p", payload_hash(b""), now.timestamp())
        fresh = Signer(Credentials("AKID", "secret"), "eu-west-1", "execute-api", "h")
        assert head == fresh.head("/p", payload_hash(b""), now.timestamp())
        assert f"{now:%Y%m%d}/eu-west-1/execute-api/aws4_request" in head


def test_credentials_come_from_the_environment() -> None:
    with patch.dict("os.environ", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}):
        assert Credentials.from_environment() == Credentials("a", "b", "c")
