"""Front doors to one CompressionScheduler: a plain loop, Lightning, Hugging Face's Trainer, torch's own pruning."""
