"""Ways to reach a person: one module a destination."""
