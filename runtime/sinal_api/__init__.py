"""The operations API."""
