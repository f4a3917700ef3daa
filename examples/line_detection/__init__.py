"""Line detection: the rows of text of page images, for whoever reads them line by line."""
