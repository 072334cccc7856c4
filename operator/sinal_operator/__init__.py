"""The operator: turns declared objects into lanes, routes and plans."""
