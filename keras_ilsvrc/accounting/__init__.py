"""Counts of parameters and multiply-adds, and receptive fields, for each layer of a model."""

from keras_ilsvrc.accounting.account import account
from keras_ilsvrc.accounting.rows import Account, Row, Stage

__all__ = ["Account", "Row", "Stage", "account"]
