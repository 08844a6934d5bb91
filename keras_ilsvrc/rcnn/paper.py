"""Constants of R-CNN, from arXiv:1311.2524v5 and the authors' code (rbgirshick/rcnn)."""

# Proposals: section 2.1, and selective_search_boxes.m
MIN_SIDE = 20  # pixels; proposals are wider and higher than this
IMAGE_WIDTH = 500  # ILSVRC images are resized to this width for selective search; section 4.2

# Warping: appendix A, and rcnn_im_crop.m
CROP = 227  # side of a crop in pixels
CONTEXT = 16  # pixels of context at each side of the crop

# Features: rcnn_features.m and rcnn_scale_features.m
NORM = 20.0  # mean norm to which all features are scaled
# Numbers of images, and of boxes per image, to measure the mean norm; rcnn_feature_stats
NORM_IMAGES, NORM_BOXES = 200, 200

# Fine-tuning: section 2.3, pascal_finetune_train.prototxt and pascal_finetune_solver.prototxt
POSITIVES, BACKGROUND = 32, 96  # windows of objects and of the background in a batch
POSITIVE_OVERLAP = 0.5  # minimum overlap of a window and an object to count as the object's class
RATE, RATE_FACTOR, RATE_STEPS = 1e-3, 0.1, 20_000
HEAD_RATE, BIAS_RATE = 10.0, 2.0  # factors of the rate for the new classifier and for biases
STEPS = 70_000  # step of the snapshot that the authors released, out of 100,000 steps
MOMENTUM, L2 = 0.9, 5e-4

# SVMs: section 2.3, and rcnn_train.m
NEGATIVE_OVERLAP = 0.3  # proposals that overlap all objects of the class by less are negatives
C, BIAS, POSITIVE_WEIGHT = 1e-3, 10.0, 2.0
TOLERANCE = 0.1  # stopping tolerance, the default of liblinear's solver
HARD, EASY = -1.0001, -1.2  # negatives are added above the first score, removed below the second
RETRAIN = 2000  # number of added negatives after which an SVM is trained again

# Box regression: appendix C, and rcnn_train_bbox_regressor.m
REGRESSION_OVERLAP = 0.6  # regressors are trained on proposals that overlap an object by more
RIDGE = 1000.0  # coefficient of the ridge penalty
WHITENING = 1e-3  # added to the variances of the targets

# Detection: section 2.2, rcnn_test.m and imdb_eval_voc.m
SUPPRESSION = 0.3  # overlap above which a box is removed by a better one of its class
DETECTIONS = 100  # maximum number of boxes of a class in an image, before suppression
DETECTIONS_PER_IMAGE = 40  # detections of each class, mean of all images: 100,000 in 2,500
