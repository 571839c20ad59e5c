"""The commands, a module for each group. A module is imported when its command is called."""
