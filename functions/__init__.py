"""One module per Lambda function: parse the event, call the core, shape the answer."""
