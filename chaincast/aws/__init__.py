"""Access to AWS: clients, and what is shared by the stores that use them.

Query on the Subscriptions table and PostToConnection, the two most frequent calls, use the project's own asynchronous
client (`fast`). All other calls use boto3 (`boto_clients`).
"""
