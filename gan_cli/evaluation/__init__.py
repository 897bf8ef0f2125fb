"""How good the samples of a generator are: real samples to compare with, scores, and what they say."""
