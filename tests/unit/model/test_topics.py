from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.errors import Code, RequestError
from chaincast.model.topics import FAMILIES, Topic, chain_topics, history_topic, wildcard_forms

T = "0xaAbB"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("tokens:BSC", "tokens:bsc"),
        (f"trades:bsc:{T}", "trades:bsc:0xaabb"),
        (f"trades:*:{T}", "trades:*:0xaabb"),
        ("trades:*:*", "trades:*:*"),
        ("price:BTC/usdt", "price:BTC/usdt"),
        ("user:Ann", "user:Ann"),
        ("system", "system"),
        ("alerts:whale", "alerts:whale"),
        ("contract:stacks-mainnet:SP2C.my-token", "contract:stacks-mainnet:sp2c.my-token"),
    ],
)
def test_a_topic_has_one_canonical_form(text: str, canonical: str) -> None:
    assert str(Topic.parse(text)) == canonical
    assert Topic.parse(canonical) == Topic.parse(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Code.UNKNOWN_TOPIC),
        ("nonsense:bsc", Code.UNKNOWN_TOPIC),
        ("TRADES:bsc:x", Code.UNKNOWN_TOPIC),
        ("trades", Code.BAD_TOPIC),
        ("trades:bsc", Code.BAD_TOPIC),
        ("trades:bsc:x:y", Code.BAD_TOPIC),
        ("trades:bsc:", Code.BAD_TOPIC),
        ("trades::x", Code.BAD_TOPIC),
        ("trades:bsc:a b", Code.BAD_TOPIC),
        ("trades:bsc:a#0", Code.BAD_TOPIC),
        ("trades:bsc:a*", Code.BAD_TOPIC),
        ("trades:bsc:" + "x" * 129, Code.BAD_TOPIC),
        ("trades:bsc:" + "x" * 300, Code.BAD_TOPIC),
        ("trades:bsc:\x00", Code.BAD_TOPIC),
        ("system:x", Code.BAD_TOPIC),
        ("user:*", Code.BAD_TOPIC),
        ("orders:*", Code.BAD_TOPIC),
    ],
)
def test_what_is_no_topic_is_refused_with_its_code(text: str, code: Code) -> None:
    with pytest.raises(RequestError) as caught:
        Topic.parse(text)
    assert caught.value.code == code
    assert text[:20] in caught.value.message or repr(text[:20])[1:-1] in caught.value.message


@given(st.text(max_size=60))
def test_parsing_never_fails_otherwise_and_its_result_is_stable(text: str) -> None:
    try:
        topic = Topic.parse(text)
    except RequestError:
        return
    assert Topic.parse(str(topic)) == topic
    assert "#" not in str(topic)


def test_an_event_reaches_the_wildcards_of_scope_and_key() -> None:
    assert wildcard_forms("trades:bsc:0xab") == ("trades:bsc:0xab", "trades:bsc:*", "trades:*:0xab", "trades:*:*")
    assert wildcard_forms("network:bsc") == ("network:bsc", "network:*")
    assert wildcard_forms("system") == ("system",)


def test_private_topics_have_no_wildcards() -> None:
    private = [f for f in FAMILIES.values() if f.private]
    assert {f.name for f in private} == {"user", "orders", "portfolio"}
    assert all(wildcard_forms(f"{f.name}:ann") == (f"{f.name}:ann",) for f in private)


@given(st.sampled_from(["bsc", "*"]), st.sampled_from(["0xab", "0xcd", "*"]))
def test_wildcard_forms_are_the_topics_that_match(scope: str, key: str) -> None:
    matches = scope in ("bsc", "*") and key in ("0xab", "*")
    assert (str(Topic.parse(f"trades:{scope}:{key}")) in wildcard_forms("trades:bsc:0xab")) == matches


def test_events_of_a_chain_are_filed_by_kind_token_contract_and_network() -> None:
    trade = chain_topics("trade", "bsc", "0xMARKET", "0xTOKEN")
    assert trade == ("trades:bsc:0xtoken", "token:bsc:0xtoken", "contract:bsc:0xmarket", "network:bsc")
    created = chain_topics("token.created", "bsc", "0xF", "0xT")
    assert created == ("tokens:bsc", "token:bsc:0xt", "contract:bsc:0xf", "network:bsc")
    assert chain_topics("contract.event", "bsc", "0xC", None) == ("contract:bsc:0xc", "network:bsc")


def test_only_some_kinds_have_a_history() -> None:
    trade = chain_topics("trade", "bsc", "0xm", "0xt")
    assert history_topic("trade", trade) == "trades:bsc:0xt"
    assert history_topic("token.graduated", trade) is None
    assert history_topic("alert", ()) is None


def test_a_topic_knows_its_network() -> None:
    assert Topic.parse("trades:bsc:*").network == "bsc"
    assert Topic.parse("trades:*:*").network is None
    assert Topic.parse("price:BTC").network is None
