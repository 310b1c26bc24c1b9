"""The local stack: production's own deployment on a laptop, and the command line. It only conducts.

start MiniStack → `cdk bootstrap`, `cdk deploy` → node → demo market → listener; watch; stop. Nothing imports it.
"""
