"""The data plane, one folder a step of the flow of an event."""
