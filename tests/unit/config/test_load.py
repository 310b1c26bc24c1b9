from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaincast.config import load, parse
from chaincast.config.__main__ import main
from chaincast.config.load import line_of
from chaincast.errors import ConfigError

GOOD = """\
[networks.anvil]
local = true
chain_id = 31337
rpc_url = "ws://127.0.0.1:8545"

[networks.bsc]
chain_id = 56
rpc_url = "https://node.example"
start_block = 10

[[networks.bsc.contracts]]
adapter = "launchpad"
address = "0xABCDEF0000000000000000000000000000000000"

[networks.off]
enabled = false
chain_id = 1
rpc_url = "wss://node.example"
"""


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "c.toml")
    return str(caught.value)


def test_the_projects_own_file_is_valid() -> None:
    config = load(Path(__file__).parents[3] / "chaincast.toml")
    assert config.networks["anvil"].local


def test_a_good_file_is_read_with_defaults_and_lower_case_addresses() -> None:
    config = parse(GOOD)
    assert config.networks["bsc"].contracts[0].address == "0xabcdef" + "0" * 34
    assert config.networks["anvil"].start_block == "latest"
    assert config.fanout.shards == 1


def test_local_and_disabled_networks_are_not_deployed() -> None:
    config = parse(GOOD)
    assert set(config.deployed_networks(local=False)) == {"bsc"}
    assert set(config.deployed_networks(local=True)) == {"anvil", "bsc"}
    assert config.settings(local=False).networks == ("bsc",)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("chain_id = 56", "chain_id = 0", 7, ["networks.bsc.chain_id", "= 0", "greater than or equal to 1"]),
        ("chain_id = 56", 'chain_id = "56x"', 7, ["networks.bsc.chain_id", "'56x'", "integer"]),
        ("chain_id = 56\n", "", 6, ["networks.bsc.chain_id", "required"]),
        ("https://node", "ftp://node", 8, ["rpc_url", "ws://, wss://, http:// or https://"]),
        ("start_block = 10", "start_block = -1", 9, ["start_block"]),
        ("start_block = 10", 'start_block = "soon"', 9, ["start_block", "'soon'", "latest"]),
        ("start_block", "start_blok", 9, ["start_blok", "unknown key", "start_block", "confirmations"]),
        ('adapter = "launchpad"', 'adapter = "lunchpad"', 12, ["adapter", "'lunchpad'", "'launchpad'"]),
        ("0xABCDEF", "0xXYZ", 13, ["contracts.0.address"]),
        ("address =", "addres =", 13, ["addres", "unknown key", "address"]),
        ("networks.bsc", "networks.BSC", 6, ["network name 'BSC'", "lower-case"]),
        ("[networks.off]", "[networks.app-1]", 15, ["'app-1'", "not beginning with 'app-'"]),
        ("enabled = false", "enabled = fals", 16, ["not TOML", "line 16"]),
    ],
)
def test_a_bad_file_is_refused_with_line_value_and_what_is_allowed(
    old: str, new: str, line: int, words: list[str]
) -> None:
    message = refused(GOOD.replace(old, new))
    assert f"c.toml:{line}:" in message or f"line {line}" in message
    for word in words:
        assert word in message


def test_every_fault_is_named_at_once() -> None:
    message = refused(GOOD.replace("chain_id = 56", "chain_id = 0") + "\n[limits]\nmessage_bytes = 1\n[nonsense]\n")
    assert len(message.splitlines()) == 3
    assert "limits.message_bytes = 1" in message
    assert "allowed: networks, limits, fanout, retention" in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "chaincast.toml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "c.toml")


def test_lines_of_keys_tables_and_arrays() -> None:
    text = "a = 1\n[t]\nb = 2\n[[t.x]]\nc = 3\n[[t.x]]\nc = 4\n"
    assert line_of(text, ["a"]) == 1
    assert line_of(text, ["t", "b"]) == 3
    assert line_of(text, ["t", "x", 1, "c"]) == 7
    assert line_of(text, ["t", "x", 1, "missing"]) == 6
    assert line_of(text, ["nowhere"]) == 1


def test_the_command_prints_what_infra_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.toml"
    path.write_text(GOOD)
    assert main([str(path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed["networks"]) == ["bsc"]
    assert json.loads(printed["settings"])["networks"] == ["bsc"]


def test_the_command_refuses_with_words_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[networks.x]\n")
    assert main([str(path)]) == 2
    assert "chain_id" in capsys.readouterr().err
