"""Losses, recipes and the training loop; nothing here is needed to predict."""
