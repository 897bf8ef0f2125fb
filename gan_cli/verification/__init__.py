"""A preset checked against the figures of the text that it reproduces."""
