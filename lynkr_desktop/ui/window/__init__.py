"""The main window and its pages. Views read the engine model and call the actions; they hold no state."""
