"""The forms in which a result is written for people and for programs, one file a form."""
