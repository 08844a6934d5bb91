"""Parameters, multiply-adds and receptive fields of a functional model, layer by layer."""

from keras_ilsvrc.accounting.account import account
from keras_ilsvrc.accounting.rows import Account, Row, Stage

__all__ = ["Account", "Row", "Stage", "account"]
