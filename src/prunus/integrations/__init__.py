"""Front doors: a plain loop, Lightning, Hugging Face's Trainer, torch's pruning; one CompressionScheduler behind them all."""
