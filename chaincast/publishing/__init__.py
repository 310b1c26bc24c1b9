"""What backends publish: reading their messages, and turning them into events. Pure."""
