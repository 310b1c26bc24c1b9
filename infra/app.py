"""The CDK app: `cdk synth`, `cdk deploy` run it (cdk.json)."""

from __future__ import annotations

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra.settings import Switches
from infra.stack import ChaincastStack


def main() -> None:
    app = App()
    switches = Switches.of(app.node)
    ChaincastStack(app, switches.stack, switches)
    # Every deviation from these rules is acknowledged where it is made, with its reason.
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


if __name__ == "__main__":
    main()
