"""`losttick history`: one module a command."""
