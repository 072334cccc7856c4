"""JetStream: publish with ack, lanes with fair scheduling, depth."""
