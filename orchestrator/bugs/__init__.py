"""The catalogue of known bugs: how they show, who is exposed to them, and what helps."""
