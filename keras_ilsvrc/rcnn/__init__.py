"""R-CNN: object detection with the features of a network (Girshick et al., arXiv:1311.2524)."""
