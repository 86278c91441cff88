"""The history: an index over runs, computed from their journals and rebuildable from them."""
