"""A training step recorded once and replayed: its operations alone, without Python and autograd between them."""
