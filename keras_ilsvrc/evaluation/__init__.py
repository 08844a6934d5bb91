"""Evaluation of models by the papers' test protocols."""
