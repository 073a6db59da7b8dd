"""What the collector knows, arranged for a reader: the same answers for the console and the API.

Functions here block on the store and are called in a worker thread. Times are aware UTC datetimes.
"""
