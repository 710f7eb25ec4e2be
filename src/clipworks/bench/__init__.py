"""Speed beside accuracy: models, backends, precisions and batch sizes, measured in turn."""
