"""Train, sample and compare generative adversarial networks from one configured command."""

__version__ = "0.1.0"
