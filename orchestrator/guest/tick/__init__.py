"""The tick firmware: a guest that does nothing but tick."""
