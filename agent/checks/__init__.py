"""One module an IPv6 readiness check: measures one thing and gives a Verdict."""
