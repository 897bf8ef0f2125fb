"""A trained generator in files that others run without gan-cli, and a card that says what it is."""
