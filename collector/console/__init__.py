"""The web console: pages rendered on the server, live parts over server-sent events."""
