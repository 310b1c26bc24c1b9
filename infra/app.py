"""The CDK app that `cdk synth` and `cdk deploy` run (cdk.json)."""

from __future__ import annotations

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra.settings import Switches
from infra.stack import ChaincastStack


def main() -> None:
    """Synthesize the stack and check it against the AwsSolutions rules."""
    app = App()
    switches = Switches.from_context(app.node)
    ChaincastStack(app, switches.stack, switches)
    # Each construct that deviates from a rule acknowledges it with a reason (infra/nag.py).
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


if __name__ == "__main__":
    main()
