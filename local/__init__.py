"""The local stack (the production deployment on this machine) and the `chaincast` command line.

`local/stack` starts the AWS emulator MiniStack, deploys the stack to it with `cdk bootstrap` and `cdk deploy`, then
starts an EVM node, the demo market and a listener. `local/commands` has a module for each command. No other package
imports this one.
"""
