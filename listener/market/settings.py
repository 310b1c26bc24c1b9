"""Settings of the market engine for one network."""

from __future__ import annotations

from dataclasses import dataclass, field

from chaincast.config.market import Alerts
from chaincast.config.network import Network


@dataclass(frozen=True, slots=True)
class MarketSettings:
    """Settings of the market engine. `reference_pools`: pairs of `wrapped_native` and one of `stable_tokens`."""

    wrapped_native: str = ""
    stable_tokens: tuple[str, ...] = ()
    reference_pools: tuple[str, ...] = ()
    alerts: Alerts = field(default_factory=Alerts)

    @classmethod
    def of(cls, network: Network) -> MarketSettings:
        """Return the settings in a network's configuration."""
        return cls(network.wrapped_native, network.stable_tokens, network.reference_pools, network.alerts)
