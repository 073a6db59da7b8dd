"""One module an enricher: adds fields to an event before detection and storage."""
