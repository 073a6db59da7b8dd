"""One module a storage engine, all behind collector/store.py and one contract test suite."""
