"""Front doors: a plain loop, Lightning; all of them drive the one CompressionScheduler."""
