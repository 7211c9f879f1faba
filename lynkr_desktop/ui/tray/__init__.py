"""The tray icon, its menu, and what happens on a desktop that has no tray."""
