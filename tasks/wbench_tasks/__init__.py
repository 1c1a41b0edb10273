"""Task families (one module each) and instances (``instances/*.toml``, one table each) of suite 2026.1."""
