"""The catalogue of known bugs: who is exposed to them, and how they show."""
