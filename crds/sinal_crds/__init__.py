"""The contract: what a person declares, how it is checked, what it compiles to. No I/O here but in `loading`."""
