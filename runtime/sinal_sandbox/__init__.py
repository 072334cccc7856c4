"""Meta Graph emulator, strict as Meta; production code never imports it."""
