"""The contract: what a person declares, how it is checked, and what it compiles to. No I/O in this package but `loading`."""
