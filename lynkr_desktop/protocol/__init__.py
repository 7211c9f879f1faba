"""What the engine and its surfaces (tray, command line) say to each other: frozen types, no I/O."""
