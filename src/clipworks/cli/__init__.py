"""The command line: one file a command, the work imported in its body."""
