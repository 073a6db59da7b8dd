"""Who may do what: users, roles, sessions, API tokens, and how often a login may be tried."""
