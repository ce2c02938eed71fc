"""Pure numeric core of routing and acquisition: no Django, no I/O, no global state."""
