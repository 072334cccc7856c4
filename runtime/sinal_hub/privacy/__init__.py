"""What a person may ask for: export, erasure in every store, purges of tenants."""
