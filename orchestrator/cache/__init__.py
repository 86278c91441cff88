"""losttick's own cache. Its entries are complete, and one process at a time makes them."""
