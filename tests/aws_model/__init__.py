"""A model of the AWS services that Chaincast relies on, as their documents describe them.

It has what emulators lack: full buffers of slow clients, the account's quota with its burst, connections that are not
open yet, limits of frames, of idle time and of a connection's life under a test's clock, throttled partitions, and
items that outlive their expiry. It speaks the services' HTTP protocols, so that the functions run against it unchanged.

- expressions.py: condition and update expressions of DynamoDB
- tables.py: DynamoDB
- gateway.py: API Gateway's WebSocket connections and their management API
- queues.py: standard queues of SQS
- server.py: all of them behind one HTTP server, as a process of its own
- lifecycle.py: Lambda's event source of the lifecycle queue, with the function
- deployment.py: the model and the functions, each in a process of its own
"""
