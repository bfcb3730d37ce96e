"""prunus: make neural networks small while they train."""

__version__ = "0.1.0"
