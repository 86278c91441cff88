"""losttick's own cache: what is in it is whole, and is made by one process at a time."""
