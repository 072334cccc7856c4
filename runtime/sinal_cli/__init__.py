"""The composition root: command line, embedded services, `sinal up`."""
