"""Images: sources read by index, ops on one image and one seed, one stream of positions."""
