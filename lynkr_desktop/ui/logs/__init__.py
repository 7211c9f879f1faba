"""The page that follows the engine's log file, alive or dead."""
