"""The program that runs on each network host: measures, spools to disk, sends to a collector."""
