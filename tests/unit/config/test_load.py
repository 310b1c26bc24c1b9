from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chaincast.config.__main__ import main
from chaincast.config.load import line_of, load, parse
from chaincast.config.presets import PRESETS
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
    assert config.networks["bsc"].contracts[0].address == ("0xabcdef" + "0" * 34,)
    assert config.networks["anvil"].start_block == "latest"
    assert config.fanout.shards == 1


@pytest.mark.parametrize(
    ("section", "old", "new"),
    [
        ("fanout", "delivery_bytes = 32768", "max_message_bytes"),
        ("publish", "sources = 2", "log_partitions"),
        ("auth", "query = true", "allow_query_token"),
        ("retention", "kinds = { price = 1 }", "history_days_by_kind"),
        ("retention", "logs_days = 14", "cloudwatch_log_days"),
        ("limits", "cool_down_seconds = 60", "ban_seconds"),
        ("networks.anvil.alerts", "volume_times = 3", "volume_multiplier"),
        ("archive", "keep_days = 400", "retention_days"),
        ("audit", "enabled = true", "archive"),
    ],
)
def test_a_key_of_an_earlier_version_is_refused_and_the_allowed_keys_are_named(
    section: str, old: str, new: str
) -> None:
    message = refused(f"{GOOD}\n[{section}]\n{old}\n")
    assert "unknown key; allowed: " in message
    assert new in message.partition("allowed: ")[2].split(", ")


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
        ("chain_id = 31337\n", "", 1, ["networks.anvil.chain_id", "required"]),
        ("https://node", "ftp://node", 8, ["rpc_url", "ws://, wss://, http:// or https://"]),
        ("start_block = 10", "start_block = -1", 9, ["start_block"]),
        ("start_block = 10", 'start_block = "soon"', 9, ["start_block", "'soon'", "latest"]),
        ("start_block = 10", "cpu = 300", 9, ["networks.bsc.cpu", "= 300", "256, 512, 1024, 2048 or 4096"]),
        ("start_block = 10", "memory = 256", 9, ["networks.bsc.memory", "= 256", "greater than or equal to 512"]),
        ("start_block = 10", "memory = 4096", 6, ["memory 4096", "with cpu 256", "512, 1024, 2048 MiB"]),
        ("[networks.off]", '[kafka]\ntopics = ["t"]\ncluster_arn = "team"\n[networks.off]', 15, ["'team'", "ARN"]),
        ("start_block", "start_blok", 9, ["start_blok", "unknown key", "start_block", "confirmations"]),
        ('adapter = "launchpad"', 'adapter = "lunchpad"', 12, ["adapter", "'lunchpad'", "'launchpad'"]),
        ("0xABCDEF", "0xXYZ", 13, ["contracts.0.address"]),
        ("address =", "addres =", 13, ["addres", "unknown key", "address"]),
        ("networks.bsc", "networks.BSC", 6, ["network name 'BSC'", "lower-case"]),
        ("[networks.off]", "[networks.app-1]", 15, ["'app-1'", "names that begin with 'app-' are reserved"]),
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


def test_a_network_with_a_known_name_needs_no_more_than_a_url() -> None:
    config = parse('[networks.arbitrum]\nrpc_url = ["wss://a", "https://b"]\n[networks.stacks-mainnet]\n')
    arbitrum, stacks = config.networks["arbitrum"], config.networks["stacks-mainnet"]
    assert (arbitrum.chain_id, arbitrum.block_ms, arbitrum.finality_depth) == (42161, 250, 256)
    assert arbitrum.rpc_url == ("wss://a", "https://b")
    assert stacks.kind == "stacks"
    assert parse('[networks.bsc]\nrpc_url="ws://a"\nblock_ms=450\n').networks["bsc"].block_ms == 450


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_what_is_known_of_networks_is_valid(name: str) -> None:
    network = parse(f'[networks.{name}]\nrpc_secret = "chaincast/rpc#{name}"\n').networks[name]
    assert network.chain_id == PRESETS[name]["chain_id"]
    assert network.stable_tokens or network.kind == "stacks"


ABI = '[{"type":"event","name":"Paid","inputs":[{"name":"to","type":"address"}]},{"type":"function","name":"pay"}]'


def contract(*lines: str, network: str = "base") -> str:
    table = f'[networks.{network}]\nrpc_url = "wss://a"\n[[networks.{network}.contracts]]\n'
    return table + "\n".join(lines)


def test_an_abi_is_read_from_its_file_from_an_artifact_or_inline(tmp_path: Path) -> None:
    address = f'address = ["0x{"ab" * 20}", "0x{"CD" * 20}"]'
    (tmp_path / "paid.json").write_text(ABI)
    (tmp_path / "artifact.json").write_text(f'{{"contractName":"X","abi":{ABI}}}')
    for abi in ('"paid.json"', '"artifact.json"', f"'{ABI}'"):
        path = tmp_path / "c.toml"
        path.write_text(contract('adapter = "abi"', address, f"abi = {abi}"))
        (found,) = load(path).networks["base"].contracts
        assert [e["name"] for e in json.loads(found.abi)] == ["Paid"]
        assert found.address == ("0x" + "ab" * 20, "0x" + "cd" * 20)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['adapter = "abi"', 'address = "*"'], "requires abi"),
        (['adapter = "abi"', 'address = "*"', 'abi = "no.json"'], "no.json cannot be read"),
        (['adapter = "abi"', 'address = "*"', "abi = '[}'"], "not JSON"),
        (['adapter = "abi"', 'address = "*"', "abi = '{}'"], "not an ABI"),
        (['adapter = "abi"', 'address = "*"', "abi = '[]'"], "has no events"),
        (['adapter = "abi"', 'address = "*"', f"abi = '{ABI}'", 'events = ["Pain"]'], "events Pain: not in the ABI"),
        (['adapter = "abi"', "address = []", f"abi = '{ABI}'"], "at least 1 item"),
        (['adapter = "abi"', 'address = "SP000000000000000000002Q6VF78.pox"', f"abi = '{ABI}'"], "of kind 'evm'"),
        (['adapter = "launchpad"', 'address = "*"'], "name the factory"),
        (['adapter = "uniswap_v2"', f'address = "0x{"0" * 40}"', 'events = ["Swap"]'], "are for adapter 'abi'"),
    ],
)
def test_a_contract_that_cannot_be_read_is_refused(lines: list[str], words: str) -> None:
    assert words in refused(contract(*lines))


def test_stacks_has_addresses_and_an_adapter_of_its_own() -> None:
    stacks = ['adapter = "abi"', 'address = "SP2N959SER36FZ5QT1CX9BR63W3E8X35WQCMBYYWC.leo-cats"']
    assert parse(contract(*stacks, network="stacks-mainnet")).networks["stacks-mainnet"].contracts[0].abi == ""
    evm = ['adapter = "launchpad"', f'address = "0x{"0" * 40}"']
    assert "of kind 'stacks'" in refused(contract(*evm, network="stacks-mainnet"))


def test_a_network_that_nobody_says_how_to_reach_is_refused() -> None:
    assert "rpc_url and rpc_secret are both missing" in refused("[networks.base]\n")


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


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('[access]\norigins = ["app.example"]', "write scheme://host"),
        ('[access]\norigins = ["https://app.example/path"]', "write scheme://host"),
        ('[access]\norigins = ["https://App.example"]', "in lower case"),
        ('[access]\ndeny_ips = ["10.0.0.0/33"]', "deny_ips"),
        ('[auth]\nmode = "maybe"', "'maybe'"),
        ('[auth]\njwks_url = "http://issuer.example/keys"', "tokens and keys need https://"),
        ('[auth]\ncookie = "session"', "auth.cookie requires that access.origins"),
    ],
)
def test_who_may_come_in_is_said_in_a_way_that_holds(lines: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        parse(f'[networks.base]\nrpc_url = "wss://a"\n{lines}\n')


def test_pages_networks_keys_and_cookies() -> None:
    config = parse(
        '[networks.base]\nrpc_url = "wss://a"\n'
        '[access]\norigins = ["https://*.app.example", "http://localhost:3000", "none"]\ndeny_ips = ["10.0.0.0/8"]\n'
        '[auth]\nmode = "required"\njwks_url = "https://issuer.example/keys"\ncookie = "session"\n'
    )
    settings = config.settings(local=True)
    assert settings.origins == ("https://*.app.example", "http://localhost:3000", "none")
    assert (settings.deny_ips, settings.auth_cookie, settings.auth) == (("10.0.0.0/8",), "session", "required")
