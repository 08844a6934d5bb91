"""What a functional model costs and what its units see: parameters, MACs, receptive fields."""

from keras_ilsvrc.accounting.account import account
from keras_ilsvrc.accounting.rows import Account, Row, Stage

__all__ = ["Account", "Row", "Stage", "account"]
