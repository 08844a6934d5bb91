"""Evaluation of models with the test protocols of the papers, for example ten crops."""
