"""The CDK app: one stack, a construct per concern. Imports nothing of the other packages."""
