"""Commands on the operations API: what became of events, and what a person does about it."""
