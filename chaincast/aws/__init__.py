"""What talks to AWS: thin skins that carry out what the core decides.

Two kinds of client: the two hot calls (Query on Subscriptions, PostToConnection) go through our own asynchronous one
(`http`, `sigv4`), everything else through boto3 (`clients`).
"""
