"""Tasks: data, model and metric that belong together, ready to train."""
