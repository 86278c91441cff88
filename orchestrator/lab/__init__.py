"""Labs: hosts that losttick boots itself, with a chosen kernel on an emulated CPU with APICv."""
