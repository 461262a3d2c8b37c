"""The ways in: the command line, the web chat and the servers.  Each is a thin face over one engine."""
