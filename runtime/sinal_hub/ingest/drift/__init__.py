"""Whether gateways still speak as their adapters expect."""
