"""The doors for payment gateways."""
