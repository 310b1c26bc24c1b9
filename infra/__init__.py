"""The CDK app: one stack with one construct for each concern. It imports none of the other packages."""
