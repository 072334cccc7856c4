"""From what a sender said to an event on the bus: reading, checking, naming, publishing."""
