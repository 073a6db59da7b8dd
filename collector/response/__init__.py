"""Response: playbooks, orders to agents, and whether they had an effect."""
