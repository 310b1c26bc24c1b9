"""What the market engine must know of its network."""

from __future__ import annotations

from dataclasses import dataclass, field

from chaincast.config.market import Alerts
from chaincast.config.network import Network


@dataclass(frozen=True, slots=True)
class MarketSettings:
    """`reference_pools`: pairs of `wrapped_native` and one of `stable_tokens`."""

    wrapped_native: str = ""
    stable_tokens: tuple[str, ...] = ()
    reference_pools: tuple[str, ...] = ()
    alerts: Alerts = field(default_factory=Alerts)

    @classmethod
    def of(cls, network: Network) -> MarketSettings:
        return cls(network.wrapped_native, network.stable_tokens, network.reference_pools, network.alerts)
