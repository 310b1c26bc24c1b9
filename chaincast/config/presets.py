"""Presets of well-known networks: `[networks.bsc]` needs no chain id.

Block times are the chains' targets; the listener measures the actual ones. `finality_depth` is deeper than any
reorganisation that the chain has had, and than the chain's own definition of finality.
Sources: EIP-155 chain ids (chainlist), the chains' documentation of their consensus, and the issuers' token addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SEQUENCED = {"finality_depth": 256}
"""Roll-ups: their sequencers do not reorganise by themselves, but follow reorganisations of L1."""

PRESETS: Final[Mapping[str, Mapping[str, object]]] = {
    "ethereum": {
        "chain_id": 1,
        "block_ms": 12_000,
        "finality_depth": 96,
        "wrapped_native": "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
        "stable_tokens": (
            "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
            "0xdac17f958d2ee523a2206206994597c13d831ec7",
            "0x6b175474e89094c44da98b954eedeac495271d0f",
        ),
    },
    "bsc": {
        "chain_id": 56,
        "block_ms": 750,
        "finality_depth": 64,
        "wrapped_native": "0xbb4cdb9cbd36b01bd1cbaebf2de08d9173bc095c",
        "stable_tokens": (
            "0x55d398326f99059ff775485246999027b3197955",
            "0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d",
            "0xe9e7cea3dedca5984780bafc599bd69add087d56",
        ),
    },
    "bsc-testnet": {
        "chain_id": 97,
        "block_ms": 750,
        "finality_depth": 64,
        "wrapped_native": "0xae13d989dac2f0debff460ac112a837c89baa7cd",
        "stable_tokens": (
            "0x337610d27c682e347c9cd60bd4b3b107c9d34ddd",
            "0xed24fc36d5ee211ea25a80239fb8c4cfd80f12ee",
        ),
    },
    "arbitrum": {
        "chain_id": 42_161,
        "block_ms": 250,
        **_SEQUENCED,
        "wrapped_native": "0x82af49447d8a07e3bd95bd0d56f35241523fbab1",
        "stable_tokens": (
            "0xaf88d065e77c8cc2239327c5edb3a432268e5831",
            "0xff970a61a04b1ca14834a43f5de4533ebddb5cc8",
            "0xfd086bc7cd5c481dcc9c85ebe478a1c0b69fcbb9",
            "0xda10009cbd5d07dd0cecc66161fc93d7c9000da1",
        ),
    },
    "arbitrum-sepolia": {
        "chain_id": 421_614,
        "block_ms": 250,
        **_SEQUENCED,
        "wrapped_native": "0x980b62da83eff3d4576c647993b0c1d7faf17c73",
        "stable_tokens": ("0x75faf114eafb1bdbe2f0316df893fd58ce46aa4d",),
    },
    "base": {
        "chain_id": 8453,
        "block_ms": 2000,
        **_SEQUENCED,
        "wrapped_native": "0x4200000000000000000000000000000000000006",
        "stable_tokens": (
            "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913",
            "0xd9aaec86b65d86f6a7b5b1b0c42ffa531710b6ca",
            "0x50c5725949a6f0c72e6c4a641f24049a917db0cb",
        ),
    },
    "base-sepolia": {
        "chain_id": 84_532,
        "block_ms": 2000,
        **_SEQUENCED,
        "wrapped_native": "0x4200000000000000000000000000000000000006",
        "stable_tokens": ("0x036cbd53842c5426634e7929541ec2318f3dcf7e",),
    },
    "core": {
        "chain_id": 1116,
        "block_ms": 3000,
        "finality_depth": 64,
        "wrapped_native": "0x40375c92d9faf44d2f9db9bd9ba41a3317a2404f",
        "stable_tokens": (
            "0x900101d06a7426441ae63e9ab3b9b0f63be145f1",
            "0xa4151b2b3e269645181dccf2d426ce75fcbdeca9",
        ),
    },
    "stacks-mainnet": {
        "kind": "stacks",
        "chain_id": 1,
        "block_ms": 10_000,
        "finality_depth": 150,
        "rpc_url": ("https://api.mainnet.hiro.so",),
    },
    "stacks-testnet": {
        "kind": "stacks",
        "chain_id": 2_147_483_648,
        "block_ms": 10_000,
        "finality_depth": 150,
        "rpc_url": ("https://api.testnet.hiro.so",),
    },
}
